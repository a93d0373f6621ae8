#include "examples/support/page/tex.h"

#include <cctype>
#include <map>
#include <string_view>
#include <vector>

namespace ink::lesson {

namespace {

using Table = std::map<std::string, std::string, std::less<>>;

// Commands without arguments.
const Table& tex_signs() {
  static const Table table{{"alpha", "α"},
                           {"beta", "β"},
                           {"gamma", "γ"},
                           {"delta", "δ"},
                           {"epsilon", "ϵ"},
                           {"varepsilon", "ε"},
                           {"zeta", "ζ"},
                           {"eta", "η"},
                           {"theta", "θ"},
                           {"iota", "ι"},
                           {"kappa", "κ"},
                           {"lambda", "λ"},
                           {"mu", "μ"},
                           {"nu", "ν"},
                           {"xi", "ξ"},
                           {"pi", "π"},
                           {"rho", "ρ"},
                           {"sigma", "σ"},
                           {"tau", "τ"},
                           {"upsilon", "υ"},
                           {"phi", "φ"},
                           {"varphi", "φ"},
                           {"chi", "χ"},
                           {"psi", "ψ"},
                           {"omega", "ω"},
                           {"Gamma", "Γ"},
                           {"Delta", "Δ"},
                           {"Theta", "Θ"},
                           {"Lambda", "Λ"},
                           {"Xi", "Ξ"},
                           {"Pi", "Π"},
                           {"Sigma", "Σ"},
                           {"Phi", "Φ"},
                           {"Psi", "Ψ"},
                           {"Omega", "Ω"},
                           {"ell", "ℓ"},
                           {"partial", "∂"},
                           {"nabla", "∇"},
                           {"infty", "∞"},
                           {"prime", "′"},
                           {"cdot", "·"},
                           {"times", "×"},
                           {"div", "÷"},
                           {"pm", "±"},
                           {"mp", "∓"},
                           {"odot", "⊙"},
                           {"otimes", "⊗"},
                           {"oplus", "⊕"},
                           {"circ", "∘"},
                           {"ast", "∗"},
                           {"star", "⋆"},
                           {"bullet", "•"},
                           {"top", "⊤"},
                           {"bot", "⊥"},
                           {"perp", "⊥"},
                           {"dagger", "†"},
                           {"le", "≤"},
                           {"leq", "≤"},
                           {"ge", "≥"},
                           {"geq", "≥"},
                           {"ne", "≠"},
                           {"neq", "≠"},
                           {"ll", "≪"},
                           {"gg", "≫"},
                           {"approx", "≈"},
                           {"sim", "∼"},
                           {"simeq", "≃"},
                           {"equiv", "≡"},
                           {"propto", "∝"},
                           {"in", "∈"},
                           {"notin", "∉"},
                           {"subset", "⊂"},
                           {"subseteq", "⊆"},
                           {"cup", "∪"},
                           {"cap", "∩"},
                           {"setminus", "∖"},
                           {"emptyset", "∅"},
                           {"forall", "∀"},
                           {"exists", "∃"},
                           {"neg", "¬"},
                           {"land", "∧"},
                           {"lor", "∨"},
                           {"wedge", "∧"},
                           {"vee", "∨"},
                           {"to", "→"},
                           {"rightarrow", "→"},
                           {"leftarrow", "←"},
                           {"gets", "←"},
                           {"mapsto", "↦"},
                           {"Rightarrow", "⇒"},
                           {"implies", "⇒"},
                           {"Leftrightarrow", "⇔"},
                           {"iff", "⇔"},
                           {"leftrightarrow", "↔"},
                           {"longrightarrow", "⟶"},
                           {"uparrow", "↑"},
                           {"downarrow", "↓"},
                           {"sum", "∑"},
                           {"prod", "∏"},
                           {"int", "∫"},
                           {"iint", "∬"},
                           {"oint", "∮"},
                           {"bigoplus", "⨁"},
                           {"bigodot", "⨀"},
                           {"ldots", "…"},
                           {"dots", "…"},
                           {"cdots", "⋯"},
                           {"vdots", "⋮"},
                           {"ddots", "⋱"},
                           {"langle", "⟨"},
                           {"rangle", "⟩"},
                           {"lfloor", "⌊"},
                           {"rfloor", "⌋"},
                           {"lceil", "⌈"},
                           {"rceil", "⌉"},
                           {"lvert", "|"},
                           {"rvert", "|"},
                           {"vert", "|"},
                           {"mid", "|"},
                           {"lVert", "‖"},
                           {"rVert", "‖"},
                           {"Vert", "‖"},
                           {"|", "‖"},
                           {"lbrace", "{"},
                           {"rbrace", "}"},
                           {"{", "{"},
                           {"}", "}"},
                           {"_", "_"},
                           {"%", "%"},
                           {"&", "&"},
                           {"#", "#"},
                           {"$", "$"},
                           {"quad", "  "},
                           {"qquad", "    "},
                           {",", " "},
                           {";", " "},
                           {":", " "},
                           {" ", " "},
                           {"!", ""},
                           {"colon", ":"},
                           {"backslash", "\\"},
                           {"left", ""},
                           {"right", ""},
                           {"middle", ""},
                           {"big", ""},
                           {"Big", ""},
                           {"bigg", ""},
                           {"Bigg", ""},
                           {"bigl", ""},
                           {"bigr", ""},
                           {"Bigl", ""},
                           {"Bigr", ""},
                           {"biggl", ""},
                           {"biggr", ""},
                           {"bigm", ""},
                           {"displaystyle", ""},
                           {"textstyle", ""},
                           {"limits", ""},
                           {"nolimits", ""},
                           {"nonumber", ""},
                           {"hfill", " "},
                           {"odots", "⊙"},
                           {"triangleq", "≜"},
                           {"coloneqq", "≔"},
                           {"R", "ℝ"},
                           {"min", "min"},
                           {"top", "⊤"},
                           {"hbar", "ħ"}};
  return table;
}

// A combining mark behind each letter; several letters keep the command's name.
const Table& tex_accents() {
  static const Table table{{"hat", "\u0302"},       {"widehat", "\u0302"}, {"tilde", "\u0303"},
                           {"widetilde", "\u0303"}, {"bar", "\u0304"},     {"overline", "\u0305"},
                           {"dot", "\u0307"},       {"ddot", "\u0308"},    {"vec", "\u20d7"}};
  return table;
}

const Table& tex_blackboard() {
  static const Table table{{"R", "ℝ"}, {"N", "ℕ"}, {"Z", "ℤ"}, {"C", "ℂ"}, {"Q", "ℚ"},
                           {"P", "ℙ"}, {"E", "𝔼"}, {"V", "𝕍"}, {"1", "𝟙"}};
  return table;
}
const Table& tex_script_letters() {
  static const Table table{{"N", "𝒩"}, {"L", "ℒ"}, {"O", "𝒪"}, {"D", "𝒟"}, {"F", "ℱ"},
                           {"U", "𝒰"}, {"H", "ℋ"}, {"S", "𝒮"}, {"J", "𝒥"}, {"M", "ℳ"}};
  return table;
}

const Table& tex_lowered() {
  static const Table table{{"0", "₀"}, {"1", "₁"}, {"2", "₂"}, {"3", "₃"}, {"4", "₄"}, {"5", "₅"}, {"6", "₆"},
                           {"7", "₇"}, {"8", "₈"}, {"9", "₉"}, {"+", "₊"}, {"-", "₋"}, {"=", "₌"}, {"(", "₍"},
                           {")", "₎"}, {"a", "ₐ"}, {"e", "ₑ"}, {"h", "ₕ"}, {"i", "ᵢ"}, {"j", "ⱼ"}, {"k", "ₖ"},
                           {"l", "ₗ"}, {"m", "ₘ"}, {"n", "ₙ"}, {"o", "ₒ"}, {"p", "ₚ"}, {"r", "ᵣ"}, {"s", "ₛ"},
                           {"t", "ₜ"}, {"u", "ᵤ"}, {"v", "ᵥ"}, {"x", "ₓ"}, {"β", "ᵦ"}, {"γ", "ᵧ"}, {"ρ", "ᵨ"},
                           {"φ", "ᵩ"}, {"χ", "ᵪ"}};
  return table;
}
const Table& tex_raised() {
  static const Table table{{"0", "⁰"}, {"1", "¹"}, {"2", "²"}, {"3", "³"}, {"4", "⁴"}, {"5", "⁵"}, {"6", "⁶"},
                           {"7", "⁷"}, {"8", "⁸"}, {"9", "⁹"}, {"+", "⁺"}, {"-", "⁻"}, {"=", "⁼"}, {"(", "⁽"},
                           {")", "⁾"}, {"a", "ᵃ"}, {"b", "ᵇ"}, {"c", "ᶜ"}, {"d", "ᵈ"}, {"e", "ᵉ"}, {"f", "ᶠ"},
                           {"g", "ᵍ"}, {"h", "ʰ"}, {"i", "ⁱ"}, {"j", "ʲ"}, {"k", "ᵏ"}, {"l", "ˡ"}, {"m", "ᵐ"},
                           {"n", "ⁿ"}, {"o", "ᵒ"}, {"p", "ᵖ"}, {"r", "ʳ"}, {"s", "ˢ"}, {"t", "ᵗ"}, {"u", "ᵘ"},
                           {"v", "ᵛ"}, {"w", "ʷ"}, {"x", "ˣ"}, {"y", "ʸ"}, {"z", "ᶻ"}, {"T", "ᵀ"}, {"⊤", "ᵀ"},
                           {"′", "′"}, {"*", "*"}, {"∗", "*"}, {"⋆", "⋆"}, {"†", "†"}, {"∘", "°"}, {"/", "ᐟ"}};
  return table;
}

std::vector<std::string> code_points(const std::string& text) {
  std::vector<std::string> out;
  for (char c : text) {
    if ((uint8_t(c) & 0xc0) == 0x80 && !out.empty())
      out.back() += c;
    else
      out.emplace_back(1, c);
  }
  return out;
}

bool tex_is_word(const std::string& point) { return std::isalnum(uint8_t(point[0])) || uint8_t(point[0]) >= 0xc0; }

// Letters, digits and scripts only: needs no parentheses in a fraction.
bool tex_is_atom(const std::string& text) {
  int depth = 0;
  const std::vector<std::string> points = code_points(text);
  for (size_t i = 0; i < points.size(); ++i) {
    depth += (points[i] == "(") - (points[i] == ")");
    if (depth == 0 && !tex_is_word(points[i]) && points[i] != ")" && points[i] != "." && points[i] != "_" &&
        points[i] != "^")
      return false;
  }
  return true;
}
std::string tex_grouped(const std::string& text) { return tex_is_atom(text) ? text : "(" + text + ")"; }

std::string tex_script(const std::string& text, bool raised) {
  std::string out;
  for (const std::string& p : code_points(text)) {
    if (p == " ") continue;
    const Table& table = raised ? tex_raised() : tex_lowered();
    auto found = table.find(p);
    if (found == table.end()) return (raised ? "^" : "_") + (code_points(text).size() == 1 ? text : "(" + text + ")");
    out += found->second;
  }
  return out;
}

class PlainTex {
 public:
  explicit PlainTex(const std::string& text) : s_(text), plain_(text.find('\\') == std::string::npos) {}

  // Up to the end, or to the brace that closes the group.
  std::string sequence(bool in_group = false) {
    std::string out;
    while (at_ < s_.size()) {
      if (s_[at_] == '}' && in_group) break;
      std::string next = item(out);
      if (next == " " && (out.empty() || out.back() == ' ' || out.back() == '\n')) continue;
      out += next;
    }
    return out;
  }

 private:
  std::string item(const std::string& before) {
    const char c = s_[at_];
    if (c == '_' || c == '^') return script(c == '^', before);
    if (c == '\\') return command(before);
    if (c == '{') return argument();
    ++at_;
    if (c == '}') return "";
    if (c == '&' || c == '~' || c == '\n') return c == '&' ? "" : " ";
    if (c == '\'') return "′";
    std::string out(1, c);
    while (at_ < s_.size() && (uint8_t(s_[at_]) & 0xc0) == 0x80) out += s_[at_++];
    return out;
  }

  // {group}, a command with its arguments, or one character.
  std::string argument() {
    while (at_ < s_.size() && s_[at_] == ' ') ++at_;
    if (at_ == s_.size()) return "";
    if (s_[at_] != '{') return item("");
    ++at_;
    std::string inner = sequence(true);
    if (at_ < s_.size()) ++at_;
    return inner;
  }

  std::string script(bool raised, const std::string& before) {
    // In text without commands a name such as row_max is left alone.
    const auto word = [&](size_t i) { return i < s_.size() && (std::isalnum(uint8_t(s_[i])) || s_[i] == '_'); };
    const bool name = plain_ && !raised && at_ + 1 < s_.size() && s_[at_ + 1] != '{' &&
                      ((at_ >= 2 && word(at_ - 1) && word(at_ - 2)) || (word(at_ + 2) && s_[at_ + 2] != '_'));
    ++at_;
    if (name || at_ == s_.size() || (plain_ && before.empty())) return raised ? "^" : "_";
    return tex_script(argument(), raised);
  }

  std::string command(const std::string& before) {
    size_t end = ++at_;
    while (end < s_.size() && std::isalpha(uint8_t(s_[end]))) ++end;
    if (end == at_ && end < s_.size()) ++end;
    const std::string name = s_.substr(at_, end - at_);
    at_ = end;
    if (name == "\\") {
      if (at_ < s_.size() && s_[at_] == '[') at_ = std::min(s_.find(']', at_), s_.size() - 1) + 1;
      return "\n";
    }
    if (name == "begin" || name == "end") {
      const std::string environment = argument();
      return name == "begin" && environment == "cases" ? "{ " : "";
    }
    if (name == "frac" || name == "tfrac" || name == "dfrac") {
      const std::string over = argument(), under = argument();
      return tex_grouped(over) + "/" + tex_grouped(under);
    }
    if (name == "binom") {
      const std::string over = argument(), under = argument();
      return "C(" + over + ", " + under + ")";
    }
    if (name == "sqrt") return root();
    if (name == "tag") return "    (" + argument() + ")";
    if (name == "label" || name == "phantom" || name == "hspace") return argument(), "";
    if (name == "underbrace" || name == "overbrace") return brace();
    if (name == "underset" || name == "overset" || name == "stackrel") {
      const std::string mark = argument(), base = argument();
      return base + tex_script(mark, name != "underset");
    }
    if (name == "left" || name == "right") {
      if (at_ < s_.size() && s_[at_] == '.') ++at_;
      return "";
    }
    if (auto accent = tex_accents().find(name); accent != tex_accents().end()) {
      const std::string inner = argument();
      const std::vector<std::string> letters = code_points(inner);
      if (letters.size() == 1) return inner + accent->second;
      return (name == "overline" ? "mean" : name) + "(" + inner + ")";
    }
    if (name == "mathbb" || name == "mathcal" || name == "mathscr") {
      const std::string inner = argument();
      const Table& table = name == "mathbb" ? tex_blackboard() : tex_script_letters();
      auto found = table.find(inner);
      return found == table.end() ? inner : found->second;
    }
    if (name.starts_with("math") || name.starts_with("text") || name == "operatorname" || name == "boldsymbol" ||
        name == "bm" || name == "mbox")
      return at_ < s_.size() && s_[at_] == '*' ? (++at_, argument()) : argument();
    if (auto sign = tex_signs().find(name); sign != tex_signs().end()) return sign->second;
    return named(name, before);
  }

  // \exp, \log, \max, and whatever is not known: the name, apart from letters beside it.
  std::string named(const std::string& name, const std::string& before) {
    const bool apart = !before.empty() &&
                       (std::isalnum(uint8_t(before.back())) || before.back() == ')' || uint8_t(before.back()) >= 0x80);
    return (apart ? " " : "") + name;
  }

  std::string root() {
    std::string degree;
    if (at_ < s_.size() && s_[at_] == '[') {
      const size_t end = std::min(s_.find(']', at_), s_.size());
      degree = tex_script(s_.substr(at_ + 1, end - at_ - 1), true);
      at_ = std::min(end + 1, s_.size());
    }
    return degree + "√" + tex_grouped(argument());
  }

  std::string brace() {
    std::string inner = argument();
    if (at_ < s_.size() && (s_[at_] == '_' || s_[at_] == '^')) ++at_, inner += " (" + argument() + ")";
    return inner;
  }

  const std::string& s_;
  bool plain_;
  size_t at_ = 0;
};

}  // namespace

std::string plain_formula(const std::string& tex) {
  std::string out = PlainTex(tex).sequence();
  while (!out.empty() && (out.back() == ' ' || out.back() == '\n')) out.pop_back();
  return out;
}

std::string plain_text(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t open = text.find('$', at), close = open == std::string::npos ? open : text.find('$', open + 1);
    const bool formula =
        close != std::string::npos && close > open + 1 && text[open + 1] != ' ' && text[close - 1] != ' ';
    if (!formula) return out + text.substr(at);
    out += text.substr(at, open - at) + plain_formula(text.substr(open + 1, close - open - 1));
    at = close + 1;
  }
  return out;
}

}  // namespace ink::lesson
