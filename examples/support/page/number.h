// Numbers as text. Nothing here depends on the locale, so files can be compared byte by byte.
#pragma once
#include <cstdint>
#include <string>

namespace ink::lesson {

std::string exact(double value);  // shortest text that reads back as the same number; "nan", "inf", "-inf"
std::string brief(double value,
                  int digits = 4);              // for people: `digits` significant digits; 12,346; 1.5e-07
std::string fixed(double value, int decimals);  // at most `decimals` decimals, no trailing zeros, never "-0"
std::string grouped(int64_t value);             // 1,234,567
std::string superscript(int value);             // the digits as Unicode superscripts, for 10⁻³
std::string duration(double seconds);           // "0.4 s", "12 s", "3 min 05 s", "2 h 10 min"

}  // namespace ink::lesson
