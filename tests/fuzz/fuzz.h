// Calls of every op with arguments that nobody should pass: what an entry is, and what its arguments may be.
//
// An entry holds a function and arguments for which it works. The runner (test_fuzz.cpp) exchanges one of them, then
// several, for hostile ones of the same type; each call must end in an ink::Error or in a right value.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "autograd/attention.h"
#include "autograd/ops.h"
#include "autograd/recurrence.h"

namespace ink::test {

using TensorList = std::vector<Tensor>;
// A random number source: null, or one at the end of its stream.
struct Source {
  bool spent = false;
};
using Value = std::variant<Tensor, TensorList, Shape, Dims, int64_t, double, bool, Scalar, std::optional<Scalar>,
                           std::optional<double>, std::optional<int64_t>, DType, Device, Options, std::string_view,
                           Source, PadMode, GeluForm, Reduction, Causal, AttentionAlgorithm>;

struct Arg {
  Value value;
  std::string text;  // as C++
};
using Args = std::vector<Arg>;

// What the sizes of the result must be, in numbers that do not overflow; none where the call must not succeed.
using Sizes = std::vector<__int128>;
using Rule = std::function<std::optional<Sizes>(const Args&)>;

struct Entry {
  std::string name;  // of the op
  std::string text;  // the call, {} for each argument
  Args good;
  std::function<TensorList(const Args&)> call;
  bool plain = true;  // called with the parameters as declared
  Rule rule = {};
  std::function<std::optional<double>(const Args&)> total = {};  // what the elements must add up to
};
using Entries = std::vector<Entry>;

Entries all_entries();
void add_making(Entries& e);
void add_elementwise(Entries& e);
void add_reductions(Entries& e);
void add_shapes(Entries& e);
void add_indices(Entries& e);
void add_products(Entries& e);
void add_layers(Entries& e);
void add_attention(Entries& e);
void add_methods(Entries& e);

// The argument as C++.
std::string text_of(const Value& v);
// What may stand in the place of a good argument.
Args hostile(const Arg& good);

// A tensor and the expression that makes it.
struct Sample {
  Tensor value;
  std::string text;
};
#define X(...) \
  ::ink::test::Sample { ::ink::Tensor(__VA_ARGS__), #__VA_ARGS__ }

inline Arg arg_of(Sample s) { return {std::move(s.value), std::move(s.text)}; }
inline Arg arg_of(std::vector<Sample> list) {
  TensorList tensors;
  std::string text = "TensorList{";
  for (Sample& s : list) tensors.push_back(s.value), text += (tensors.size() > 1 ? ", " : "") + s.text;
  return {std::move(tensors), text + "}"};
}
inline Arg arg_of(int v) { return {int64_t(v), text_of(int64_t(v))}; }
inline Arg arg_of(const char* v) { return {std::string_view(v), text_of(std::string_view(v))}; }
template <class T> Arg arg_of(T v) { return {Value(v), text_of(Value(v))}; }

template <class T> struct ValueOf { using type = T; };
template <> struct ValueOf<Sample> { using type = Tensor; };
template <> struct ValueOf<std::vector<Sample>> { using type = TensorList; };
template <> struct ValueOf<int> { using type = int64_t; };
template <> struct ValueOf<const char*> { using type = std::string_view; };

// As the function takes it: a source is a pointer to a generator.
template <class T> const T& passed(const T& v) { return v; }
Generator* passed(const Source& s);

inline TensorList results(Tensor x) { return {std::move(x)}; }
inline TensorList results(std::tuple<Tensor, Tensor> t) { return {std::get<0>(t), std::get<1>(t)}; }
inline TensorList results(TensorList list) { return list; }
inline TensorList results(bool) { return {}; }

template <class F, class... A, size_t... I>
std::function<TensorList(const Args&)> unpacked(F f, std::tuple<A...>*, std::index_sequence<I...>) {
  return [f](const Args& args) { return results(f(passed(std::get<typename ValueOf<A>::type>(args[I].value))...)); };
}

// An entry for f(good...). `text` is the call, with {} for each argument; null: name(...).
template <class F, class... A> Entry& add(Entries& entries, const char* name, const char* text, F f, A... good) {
  Entry e;
  e.name = name;
  e.plain = !text;
  if (text)
    e.text = text;
  else {
    for (size_t i = 0; i < sizeof...(A); ++i) e.text += i ? ", {}" : "{}";
    e.text = e.name + "(" + e.text + ")";
  }
  e.call = unpacked(f, static_cast<std::tuple<A...>*>(nullptr), std::index_sequence_for<A...>());
  (e.good.push_back(arg_of(std::move(good))), ...);
  entries.push_back(std::move(e));
  return entries.back();
}
#define OP(name, ...) \
  add(                \
      e, #name, nullptr, [](const auto&... a) { return ink::name(a...); }, __VA_ARGS__)

}  // namespace ink::test
