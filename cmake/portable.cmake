# A build that is carried to another machine with a GPU: fmt, zlib and the C++ library are compiled or linked in, OpenBLAS and what it
# needs lie beside the programs, which find them by $ORIGIN. There, only the NVIDIA driver is needed.
option(INK_PORTABLE "Programs that run on a machine without the packages of this one" OFF)
if(INK_PORTABLE)
  find_path(INK_FMT_INCLUDE fmt/format.h REQUIRED)
  add_library(fmt::fmt INTERFACE IMPORTED)  # from its headers alone: distributions do not carry a static one
  set_target_properties(fmt::fmt PROPERTIES INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY=1 INTERFACE_INCLUDE_DIRECTORIES ${INK_FMT_INCLUDE})
  find_library(INK_STATIC_ZLIB libz.a REQUIRED)
  add_library(ZLIB::ZLIB STATIC IMPORTED)
  set_target_properties(ZLIB::ZLIB PROPERTIES IMPORTED_LOCATION ${INK_STATIC_ZLIB})
  # An RPATH, not a RUNPATH: it also serves what OpenBLAS needs.
  add_link_options(-static-libstdc++ -static-libgcc -Wl,--disable-new-dtags)
  set(CMAKE_BUILD_RPATH "$ORIGIN")
  set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)
  set(INK_INSTALL OFF CACHE BOOL "" FORCE)
  add_custom_target(ink_carry ALL COMMAND ${CMAKE_COMMAND} -DTO=${PROJECT_BINARY_DIR} -P ${PROJECT_SOURCE_DIR}/cmake/carry.cmake)
else()
  find_package(fmt REQUIRED)
  find_package(ZLIB REQUIRED)
endif()
