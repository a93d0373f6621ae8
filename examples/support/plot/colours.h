// Colours of series and of heat maps.
#pragma once
#include <cstdint>
#include <string>

namespace ink::lesson {

// gray: black to white. heat: dark blue over green to yellow, for magnitudes. diverging: blue, white at 0.5, red.
enum class ColourMap { gray, heat, diverging };

uint32_t colour_at(ColourMap map, double share);  // share in [0, 1], clamped; 0xRRGGBB; NaN is a light magenta
std::string hex(uint32_t colour);                 // "#rrggbb"
bool is_dark(uint32_t colour);                    // whether text on it should be white
const char* series_colour(int index);             // eight distinct colours, dark enough for thin lines on white

}  // namespace ink::lesson
