// TeX formulas as plain text with Unicode signs, for terminals.
#pragma once
#include <string>

namespace ink::lesson {

// R"(m_i = \max(m_{i-1}, x_i))" -> "mᵢ = max(mᵢ₋₁, xᵢ)"; \frac{a + b}{2} -> (a + b)/2; \hat{y} -> ŷ. Scripts that
// Unicode lacks stay x_(q). Lines of an environment are lines of the text. A command that is not known is shown by its
// name.
std::string plain_formula(const std::string& tex);

// Text whose $...$ are formulas, for a terminal.
std::string plain_text(const std::string& text);

}  // namespace ink::lesson
