# Copies OpenBLAS and the libraries it needs, but for the C library's own, into the folder TO.
find_library(OPENBLAS NAMES libopenblas.so.0 libopenblas.so PATH_SUFFIXES openblas-pthread x86_64-linux-gnu/openblas-pthread REQUIRED)
file(REAL_PATH ${OPENBLAS} OPENBLAS)
file(GET_RUNTIME_DEPENDENCIES LIBRARIES ${OPENBLAS} RESOLVED_DEPENDENCIES_VAR needed UNRESOLVED_DEPENDENCIES_VAR missing
     PRE_EXCLUDE_REGEXES "^ld-linux" "^lib(c|m|dl|rt|pthread)\\.so")
file(COPY_FILE ${OPENBLAS} ${TO}/libopenblas.so.0 ONLY_IF_DIFFERENT)
foreach(library ${needed})
  get_filename_component(name ${library} NAME)
  file(REAL_PATH ${library} real)
  file(COPY_FILE ${real} ${TO}/${name} ONLY_IF_DIFFERENT)
endforeach()
