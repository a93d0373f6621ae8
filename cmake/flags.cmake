# Compiler flags that all of Inkstone's own C++ is compiled with (nvcc has its own), as an interface target.
add_library(ink_flags INTERFACE)
function(ink_flags)
  target_compile_options(ink_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${ARGV}>")
endfunction()
# A product and a sum are rounded twice unless the formula says fma.
ink_flags(-Wall -Wextra -ffp-contract=off -fno-math-errno)
if(PROJECT_IS_TOP_LEVEL)  # a user's build must not fail for a warning that a newer compiler has
  ink_flags(-Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # GCC 12 at -O3 sees overlaps in std::string and uninitialised dims in Shape where there are none.
  ink_flags(-Wno-psabi -Wno-restrict -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow)
elseif(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # The formulas combine masks by & and |, and plain bools with them. Packs stay within their CPU level, so how wide vectors are passed
  # does not matter.
  ink_flags(-Wno-psabi -Wno-unknown-warning-option -Wno-bitwise-instead-of-logical -Wno-align-mismatch)
endif()
set(INK_SANITIZE_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
if(INK_SANITIZE)
  target_compile_options(ink_flags INTERFACE ${INK_SANITIZE_FLAGS})
endif()

# Most of a small file's compile time is the reading of headers and the making of what they define (strings, vectors, formatted text).
# ink_in_batches(TARGET): eight files are compiled as one. Names of an unnamed namespace must then differ within a target.
function(ink_in_batches target)
  if(INK_QUICK_BUILD)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endfunction()
# ink_precompile(TARGET HEADER...), ink_precompile_as(TARGET OTHER): the headers are read once for the target, or as OTHER reads them.
function(ink_precompile target)
  if(INK_QUICK_BUILD)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()
function(ink_precompile_as target other)
  if(INK_QUICK_BUILD)
    target_precompile_headers(${target} REUSE_FROM ${other})
  endif()
endfunction()
