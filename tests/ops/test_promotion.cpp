// The dtype of every op's result for every dtype, and pair of dtypes, of its operands, against PyTorch's: its
// documented rules of type promotion (torch.result_type) and the dtypes its ops take.
#include <fmt/format.h>

#include <functional>
#include <map>
#include <sstream>

#include "autograd/ops.h"
#include "tests/catch.h"

using namespace ink;

namespace {

const DType kTypes[] = {u8, i32, i64, f16, bf16, f32, f64, c64, c128, boolean};
const char* const kOrder = "u8 i32 i64 f16 bf16 f32 f64 c64 c128 bool";

std::vector<std::string> words(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> w;
  for (std::string s; in >> s;) w.push_back(s);
  return w;
}

// "f32", or "!" where the op refuses with one of our errors.
std::string outcome(const std::function<Tensor()>& call) {
  try {
    return name_of(call().dtype());
  } catch (const Error&) { return "!"; }
}

// torch.result_type of two tensors that both have dims.
const char* const kPairs[10] = {
    "u8   i32  i64  f16  bf16 f32  f64  c64  c128 u8",     // u8
    "i32  i32  i64  f16  bf16 f32  f64  c64  c128 i32",    // i32
    "i64  i64  i64  f16  bf16 f32  f64  c64  c128 i64",    // i64
    "f16  f16  f16  f16  f32  f32  f64  c64  c128 f16",    // f16; torch has a complex type for it, c64 is ours
    "bf16 bf16 bf16 f32  bf16 f32  f64  c64  c128 bf16",   // bf16
    "f32  f32  f32  f32  f32  f32  f64  c64  c128 f32",    // f32
    "f64  f64  f64  f64  f64  f64  f64  c128 c128 f64",    // f64
    "c64  c64  c64  c64  c64  c64  c128 c64  c128 c64",    // c64
    "c128 c128 c128 c128 c128 c128 c128 c128 c128 c128",   // c128
    "u8   i32  i64  f16  bf16 f32  f64  c64  c128 bool"};  // bool
// The same with a 0-dim second operand: it counts only if its kind (bool, integer, float, complex) is the higher one,
// and then keeps its precision.
const char* const kWithZeroDim[10] = {"u8   u8   u8   f16  bf16 f32  f64  c64  c128 u8",    // u8
                                      "i32  i32  i32  f16  bf16 f32  f64  c64  c128 i32",   // i32
                                      "i64  i64  i64  f16  bf16 f32  f64  c64  c128 i64",   // i64
                                      "f16  f16  f16  f16  f16  f16  f16  c64  c128 f16",   // f16
                                      "bf16 bf16 bf16 bf16 bf16 bf16 bf16 c64  c128 bf16",  // bf16
                                      "f32  f32  f32  f32  f32  f32  f32  c64  c128 f32",   // f32
                                      "f64  f64  f64  f64  f64  f64  f64  c128 c128 f64",   // f64
                                      "c64  c64  c64  c64  c64  c64  c64  c64  c64  c64",   // c64
                                      "c128 c128 c128 c128 c128 c128 c128 c128 c128 c128",  // c128
                                      "u8   i32  i64  f16  bf16 f32  f64  c64  c128 bool"};
// And with a number: true, 2, 2.5, 1 + 2i.
const char* const kWithNumber[10] = {"u8 u8 f32 c64",       "i32 i32 f32 c64", "i64 i64 f32 c64",  "f16 f16 f16 c64",
                                     "bf16 bf16 bf16 c64",  "f32 f32 f32 c64", "f64 f64 f64 c128", "c64 c64 c64 c64",
                                     "c128 c128 c128 c128", "bool i64 f32 c64"};

bool is(const std::string& t, const char* list) {
  for (const std::string& w : words(list))
    if (w == t) return true;
  return false;
}
// What an op makes of the type its operands promote to.
using Kind = std::string (*)(std::string);
std::string any(std::string t) { return t; }
std::string divides(std::string t) { return is(t, "u8 i32 i64 bool") ? "f32" : t; }
std::string floats(std::string t) { return is(t, "c64 c128") ? "!" : divides(t); }
std::string ordered(std::string t) { return is(t, "c64 c128") ? "!" : t; }
std::string whole_too(std::string t) { return t == "bool" ? "i64" : ordered(t); }  // torch refuses two bools
std::string powers(std::string t) { return t == "bool" ? "i64" : t; }              // torch refuses two bools
std::string says(std::string) { return "bool"; }
std::string compares(std::string t) { return is(t, "c64 c128") ? "!" : "bool"; }

struct Pair {
  const char* name;
  Tensor (*f)(const Tensor&, const Tensor&);
  Kind kind;
  bool no_bool = false;  // torch refuses a bool on either side
};
const Pair kPairOps[] = {
    {"add", [](const Tensor& a, const Tensor& b) { return add(a, b); }, any},
    {"sub", [](const Tensor& a, const Tensor& b) { return sub(a, b); }, any, true},
    {"mul", [](const Tensor& a, const Tensor& b) { return mul(a, b); }, any},
    {"div", [](const Tensor& a, const Tensor& b) { return div(a, b); }, divides},
    {"floor_divide", [](const Tensor& a, const Tensor& b) { return floor_divide(a, b); }, whole_too},
    {"remainder", [](const Tensor& a, const Tensor& b) { return remainder(a, b); }, whole_too},
    {"pow", [](const Tensor& a, const Tensor& b) { return pow(a, b); }, powers},
    {"atan2", atan2, floats},
    {"maximum", maximum, ordered},
    {"minimum", minimum, ordered},
    {"where", [](const Tensor& a, const Tensor& b) { return where(zeros({2}, boolean), a, b); }, any},
    {"eq", [](const Tensor& a, const Tensor& b) { return eq(a, b); }, says},
    {"ne", [](const Tensor& a, const Tensor& b) { return ne(a, b); }, says},
    {"lt", [](const Tensor& a, const Tensor& b) { return lt(a, b); }, compares},
    {"le", [](const Tensor& a, const Tensor& b) { return le(a, b); }, compares},
    {"gt", [](const Tensor& a, const Tensor& b) { return gt(a, b); }, compares},
    {"ge", [](const Tensor& a, const Tensor& b) { return ge(a, b); }, compares},
    {"logical_and", logical_and, says},
    {"logical_or", logical_or, says},
    {"logical_xor", logical_xor, says},
};

struct WithNumber {
  const char* name;
  Tensor (*f)(const Tensor&, const Scalar&);
  Kind kind;
  bool no_bool = false;
};
const WithNumber kNumberOps[] = {
    {"add", [](const Tensor& a, const Scalar& s) { return add(a, s); }, any},
    {"sub", [](const Tensor& a, const Scalar& s) { return sub(a, s); }, any, true},
    {"sub from", [](const Tensor& a, const Scalar& s) { return sub(s, a); }, any, true},
    {"mul", [](const Tensor& a, const Scalar& s) { return mul(a, s); }, any},
    {"div", [](const Tensor& a, const Scalar& s) { return div(a, s); }, divides},
    {"div of", [](const Tensor& a, const Scalar& s) { return div(s, a); }, divides},
    {"floor_divide", [](const Tensor& a, const Scalar& s) { return floor_divide(a, s); }, whole_too},
    {"remainder", [](const Tensor& a, const Scalar& s) { return remainder(a, s); }, whole_too},
    {"pow", [](const Tensor& a, const Scalar& s) { return pow(a, s); }, any},
    {"pow of", [](const Tensor& a, const Scalar& s) { return pow(s, a); }, powers},
    {"eq", [](const Tensor& a, const Scalar& s) { return eq(a, s); }, says},
    {"ne", [](const Tensor& a, const Scalar& s) { return ne(a, s); }, says},
    {"lt", [](const Tensor& a, const Scalar& s) { return lt(a, s); }, compares},
    {"ge", [](const Tensor& a, const Scalar& s) { return ge(a, s); }, compares},
};

// One operand: the result for each dtype. "!" is refused; "+f32" says that torch refuses what gives f32 here, "-" that
// torch takes what is refused here.
const char* const kOne = R"(
            u8   i32  i64  f16  bf16 f32  f64  c64  c128 bool
neg         u8   i32  i64  f16  bf16 f32  f64  c64  c128 !
abs         u8   i32  i64  f16  bf16 f32  f64  f32  f64  +i64
sign        u8   i32  i64  f16  bf16 f32  f64  !    !    bool
exp         f32  f32  f32  f16  bf16 f32  f64  c64  c128 f32
log         f32  f32  f32  f16  bf16 f32  f64  c64  c128 f32
sqrt        f32  f32  f32  f16  bf16 f32  f64  c64  c128 f32
reciprocal  f32  f32  f32  f16  bf16 f32  f64  c64  c128 f32
square      u8   i32  i64  f16  bf16 f32  f64  c64  c128 i64
tanh        f32  f32  f32  f16  bf16 f32  f64  c64  c128 f32
expm1       f32  f32  f32  f16  bf16 f32  f64  !    !    f32
erf         f32  f32  f32  f16  bf16 f32  f64  !    !    f32
lgamma      f32  f32  f32  f16  bf16 f32  f64  !    !    f32
rsqrt       f32  f32  f32  f16  bf16 f32  f64  -    -    f32
sigmoid     f32  f32  f32  f16  bf16 f32  f64  -    -    f32
floor       u8   i32  i64  f16  bf16 f32  f64  !    !    +bool
round       u8   i32  i64  f16  bf16 f32  f64  !    !    +bool
relu        u8   i32  i64  f16  bf16 f32  f64  !    !    +i64
leaky_relu  +f32 +f32 +f32 f16  bf16 f32  f64  !    !    +f32
gelu        +f32 +f32 +f32 f16  bf16 f32  f64  !    !    +f32
silu        +f32 +f32 +f32 f16  bf16 f32  f64  -    -    +f32
softplus    +f32 +f32 +f32 f16  bf16 f32  f64  !    !    +f32
isnan       bool bool bool bool bool bool bool bool bool bool
isinf       bool bool bool bool bool bool bool bool bool bool
isfinite    bool bool bool bool bool bool bool bool bool bool
logical_not bool bool bool bool bool bool bool bool bool bool
nan_to_num  u8   i32  i64  f16  bf16 f32  f64  -    -    bool
real        u8   i32  i64  f16  bf16 f32  f64  f32  f64  bool
conj        u8   i32  i64  f16  bf16 f32  f64  c64  c128 bool
angle       f32  f32  f32  f16  bf16 f32  f64  f32  f64  f32
sum         i64  i64  i64  f16  bf16 f32  f64  c64  c128 i64
prod        i64  i64  i64  f16  bf16 f32  f64  c64  c128 i64
cumsum      i64  i64  i64  f16  bf16 f32  f64  c64  c128 i64
cumprod     i64  i64  i64  f16  bf16 f32  f64  c64  c128 i64
mean        !    !    !    f16  bf16 f32  f64  c64  c128 !
var         !    !    !    f16  bf16 f32  f64  -    -    !
max         u8   i32  i64  f16  bf16 f32  f64  !    !    bool
min         u8   i32  i64  f16  bf16 f32  f64  !    !    bool
cummax      u8   i32  i64  f16  bf16 f32  f64  !    !    bool
sort        u8   i32  i64  f16  bf16 f32  f64  !    !    bool
argmax      i64  i64  i64  i64  i64  i64  i64  !    !    +i64
any         bool bool bool bool bool bool bool bool bool bool
all         bool bool bool bool bool bool bool bool bool bool
count_nonzero i64 i64 i64  i64  i64  i64  i64  i64  i64  i64
norm        !    !    !    f16  bf16 f32  f64  f32  f64  !
logsumexp   f32  f32  f32  f16  bf16 f32  f64  !    !    f32
softmax     +f32 +f32 +f32 f16  bf16 f32  f64  !    !    +f32
)";
const std::map<std::string, Tensor (*)(const Tensor&)> kOneOps = {
    {"neg", neg},
    {"abs", abs},
    {"sign", sign},
    {"exp", exp},
    {"log", log},
    {"sqrt", sqrt},
    {"reciprocal", reciprocal},
    {"square", square},
    {"tanh", tanh},
    {"expm1", expm1},
    {"erf", erf},
    {"lgamma", lgamma},
    {"rsqrt", rsqrt},
    {"sigmoid", sigmoid},
    {"floor", floor},
    {"round", round},
    {"relu", relu},
    {"silu", silu},
    {"softplus", softplus},
    {"isnan", isnan},
    {"isinf", isinf},
    {"isfinite", isfinite},
    {"logical_not", logical_not},
    {"real", real},
    {"conj", conj},
    {"angle", angle},
    {"leaky_relu", [](const Tensor& x) { return leaky_relu(x); }},
    {"gelu", [](const Tensor& x) { return gelu(x); }},
    {"nan_to_num", [](const Tensor& x) { return nan_to_num(x); }},
    {"sum", [](const Tensor& x) { return sum(x); }},
    {"prod", [](const Tensor& x) { return prod(x); }},
    {"cumsum", [](const Tensor& x) { return cumsum(x, 0); }},
    {"cumprod", [](const Tensor& x) { return cumprod(x, 0); }},
    {"mean", [](const Tensor& x) { return mean(x); }},
    {"var", [](const Tensor& x) { return var(x); }},
    {"max", [](const Tensor& x) { return max(x); }},
    {"min", [](const Tensor& x) { return min(x); }},
    {"cummax", [](const Tensor& x) { return std::get<0>(cummax(x, 0)); }},
    {"sort", [](const Tensor& x) { return std::get<0>(sort(x)); }},
    {"argmax", [](const Tensor& x) { return argmax(x); }},
    {"any", [](const Tensor& x) { return any(x); }},
    {"all", [](const Tensor& x) { return all(x); }},
    {"count_nonzero", [](const Tensor& x) { return count_nonzero(x); }},
    {"norm", [](const Tensor& x) { return norm(x); }},
    {"logsumexp", [](const Tensor& x) { return logsumexp(x); }},
    {"softmax", [](const Tensor& x) { return softmax(x, 0); }},
};

}  // namespace

TEST_CASE("operands of two dtypes give what torch gives", "[promotion]") {
  const auto names = words(kOrder);
  std::string wrong;
  for (int a = 0; a < 10; ++a) {
    const auto pairs = words(kPairs[a]), zero = words(kWithZeroDim[a]);
    for (int b = 0; b < 10; ++b)
      for (const Pair& op : kPairOps)
        for (bool zero_dim : {false, true}) {
          const std::string t = zero_dim ? zero[size_t(b)] : pairs[size_t(b)];
          const bool refused = op.no_bool && (kTypes[a] == boolean || kTypes[b] == boolean);
          const std::string want = refused ? "!" : op.kind(t);
          const Tensor x = ones({2}, kTypes[a]), y = ones(zero_dim ? Shape{} : Shape{2}, kTypes[b]);
          const std::string got = outcome([&] { return op.f(x, y); });
          if (got != want)
            wrong += fmt::format("{} of {} and {}{}: {}; expected {}\n", op.name, names[size_t(a)], names[size_t(b)],
                                 zero_dim ? " (0-dim)" : "", got, want);
        }
  }
  CHECK(wrong == "");
}

TEST_CASE("a tensor and a number give what torch gives", "[promotion]") {
  const auto names = words(kOrder);
  const Scalar numbers[] = {true, 2, 2.5, complex<double>(1, 2)};
  std::string wrong;
  for (int a = 0; a < 10; ++a)
    for (size_t k = 0; k < 4; ++k)
      for (const WithNumber& op : kNumberOps) {
        const std::string t = words(kWithNumber[a])[k];
        const bool refused = op.no_bool && (kTypes[a] == boolean || k == 0);
        const std::string want = refused ? "!" : op.kind(t);
        const std::string got = outcome([&] { return op.f(ones({2}, kTypes[a]), numbers[k]); });
        if (got != want)
          wrong += fmt::format("{} of {} and a {}: {}; expected {}\n", op.name, names[size_t(a)],
                               std::vector{"bool", "integer", "real number", "complex number"}[k], got, want);
      }
  CHECK(wrong == "");
}

TEST_CASE("the result of one operand has torch's dtype", "[promotion]") {
  std::istringstream table(kOne);
  std::string wrong;
  std::map<std::string, bool> seen;
  for (std::string line; std::getline(table, line);) {
    const auto row = words(line);
    if (row.empty() || row[0] == "u8") continue;
    REQUIRE(row.size() == 11);
    seen[row[0]] = true;
    for (size_t i = 0; i < 10; ++i) {
      std::string want = row[i + 1];
      want = want == "-" ? "!" : want[0] == '+' ? want.substr(1) : want;
      const std::string got = outcome([&] { return kOneOps.at(row[0])(ones({2}, kTypes[i])); });
      if (got != want) wrong += fmt::format("{} of {}: {}; expected {}\n", row[0], name_of(kTypes[i]), got, want);
    }
  }
  CHECK(wrong == "");
  CHECK(seen.size() == kOneOps.size());
}

TEST_CASE("bools are added and multiplied as or and and, in place too", "[promotion]") {
  const Tensor a = tensor({0, 0, 1, 1}, boolean), b = tensor({0, 1, 0, 1}, boolean);
  CHECK(equal(a + b, tensor({0, 1, 1, 1}, boolean)));
  CHECK(equal(a * b, tensor({0, 0, 0, 1}, boolean)));
  CHECK(equal(a + true, ones({4}, boolean)));
  CHECK(equal(a * false, zeros({4}, boolean)));
  CHECK(equal(add(a, b, 0), a));
  CHECK(equal(add(a, b, 2), a + b));
  CHECK(equal(a.clone().add_(b), a + b));
  CHECK(equal(a.clone().add_(b, 0), a));
  CHECK(equal(a.clone().mul_(b), a * b));
  CHECK(equal(a.clone().add_(true), ones({4}, boolean)));
  CHECK(equal(a.clone().mul_(false), zeros({4}, boolean)));
  CHECK_THROWS_AS(a.clone().add_(1), DTypeError);  // an integer does not fit a bool
  CHECK_THROWS_AS(a.clone().add_(ones({4}, i64)), DTypeError);
  CHECK_THROWS_AS(a.clone().div_(true), DTypeError);
  CHECK_THROWS_AS(a.clone().sub_(b), DTypeError);
  CHECK_THROWS_AS(a.clone().sub_(true), DTypeError);
  CHECK_THROWS_WITH(sub(a, 2), contains("sub: got bool and i64; expected numbers"));
  Tensor count = tensor({1, 2, 3, 4}, i64);
  CHECK(equal(count.add_(b), tensor({1, 3, 3, 5}, i64)));
  CHECK(equal(count.mul_(true), tensor({1, 3, 3, 5}, i64)));
  CHECK(equal(sign(a), a));
}

TEST_CASE("powers of integers and numbers", "[promotion]") {
  CHECK(equal(pow(2, tensor({0, 5, 40}, i64)),
              from_data(std::span<const int64_t>(std::vector<int64_t>{1, 32, int64_t(1) << 40}), {3})));
  CHECK(equal(pow(3, tensor({0, 1}, boolean)), tensor({1, 3}, i64)));
  CHECK(equal(pow(tensor({2, 3}, i64), 2.0), tensor({4, 9})));
  CHECK(pow(tensor({2, 3}, i64), 2).dtype() == i64);
  CHECK(equal(pow(tensor({0, 1}, boolean), 1), tensor({0, 1}, i64)));
  CHECK_THROWS_AS(pow(tensor({2}, i64), -1), ValueError);
}

TEST_CASE("masked_fill keeps the tensor's dtype and refuses what it does not hold", "[promotion]") {
  const Tensor mask = tensor({1, 0}, boolean), flags = tensor({0, 0}, boolean);
  CHECK(equal(masked_fill(flags, mask, 1), tensor({1, 0}, boolean)));
  CHECK(equal(masked_fill(flags, mask, true), tensor({1, 0}, boolean)));
  CHECK_THROWS_AS(masked_fill(flags, mask, 10), ValueError);
  CHECK_THROWS_AS(masked_fill(tensor({1, 2}, i64), mask, 2.5), DTypeError);
  CHECK_THROWS_AS(masked_fill(tensor({1, 2}), mask, complex<double>(1, 1)), DTypeError);
  CHECK_THROWS_AS(full({1}, 1e300, i64), ValueError);
  CHECK_THROWS_AS(full({1}, NAN, i32), ValueError);
  CHECK(full({1}, 255.5, u8).item() == 255);
}
