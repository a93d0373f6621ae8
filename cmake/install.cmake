# What `cmake --install` puts where: the library, the public headers under include/inkstone/, a CMake package and a .pc file.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

target_include_directories(inkstone PUBLIC $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(TARGETS inkstone EXPORT inkstoneTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET inkstone_sim)  # beside the library, which opens it at the first question about a CUDA device
  install(TARGETS inkstone_sim LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} OPTIONAL)
endif()
install(CODE "include(\"${PROJECT_SOURCE_DIR}/cmake/headers.cmake\")
ink_write_headers(\"${PROJECT_SOURCE_DIR}\" \"${PROJECT_BINARY_DIR}/headers\")")
install(DIRECTORY ${PROJECT_BINARY_DIR}/headers/inkstone DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(INK_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/inkstone)
install(EXPORT inkstoneTargets NAMESPACE inkstone:: DESTINATION ${INK_CMAKE_DIR})
if(NOT DEFINED BUILD_SHARED_LIBS)
  set(BUILD_SHARED_LIBS OFF)
endif()
configure_package_config_file(cmake/inkstoneConfig.cmake.in ${PROJECT_BINARY_DIR}/inkstoneConfig.cmake INSTALL_DESTINATION ${INK_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/inkstoneConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/inkstoneConfig.cmake ${PROJECT_BINARY_DIR}/inkstoneConfigVersion.cmake DESTINATION ${INK_CMAKE_DIR})

# The .pc file finds its prefix from its own place, so `cmake --install --prefix` may name any.
set(INK_PC_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
file(RELATIVE_PATH INK_PC_UP ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
if(BUILD_SHARED_LIBS)
  set(INK_PC_REQUIRES Requires.private)
else()
  set(INK_PC_REQUIRES Requires)
  set(INK_PC_LIBS "-ldl -pthread")
  if(INK_CUDA STREQUAL "SIM")  # part of a static library
    string(APPEND INK_PC_LIBS " -lboost_context")
  elseif(INK_CUDA)
    string(APPEND INK_PC_LIBS " -lcudart_static -lrt")
  endif()
endif()
configure_file(cmake/inkstone.pc.in ${PROJECT_BINARY_DIR}/inkstone.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/inkstone.pc DESTINATION ${INK_PC_DIR})
