# What `cmake --install` puts where: the component vkdit is the program, dev is for programs that use its libraries.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS vkdit COMPONENT vkdit RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")

# The man page and the completions, as the program itself prints them.
set(pages "${PROJECT_BINARY_DIR}/share")
file(MAKE_DIRECTORY "${pages}")
add_custom_command(OUTPUT "${pages}/vkdit.1" "${pages}/vkdit" "${pages}/_vkdit" "${pages}/vkdit.fish"
  COMMAND vkdit --man > vkdit.1
  COMMAND vkdit --completion bash > vkdit
  COMMAND vkdit --completion zsh > _vkdit
  COMMAND vkdit --completion fish > vkdit.fish
  DEPENDS vkdit WORKING_DIRECTORY "${pages}" COMMENT "Writing the man page and completions" VERBATIM)
add_custom_target(pages ALL DEPENDS "${pages}/vkdit.1")
install(FILES "${pages}/vkdit.1" COMPONENT vkdit DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
install(FILES "${pages}/vkdit" COMPONENT vkdit DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
install(FILES "${pages}/_vkdit" COMPONENT vkdit DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
install(FILES "${pages}/vkdit.fish" COMPONENT vkdit DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
install(FILES LICENSE README.md CHANGELOG.md COMPONENT vkdit DESTINATION "${CMAKE_INSTALL_DOCDIR}")
install(DIRECTORY docs COMPONENT vkdit DESTINATION "${CMAKE_INSTALL_DOCDIR}" PATTERN examples EXCLUDE)

# Headers keep their folders below one of their own, which is the directory to include from.
set(headers "${CMAKE_INSTALL_INCLUDEDIR}/vkdit")
foreach(part runtime model fit)
  set_target_properties(vkdit_${part} PROPERTIES EXPORT_NAME ${part})
  install(TARGETS vkdit_${part} EXPORT vkdit ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT dev
    INCLUDES DESTINATION "${headers}")
  install(DIRECTORY ${part}/include/ COMPONENT dev DESTINATION "${headers}")
endforeach()

set(config "${CMAKE_INSTALL_LIBDIR}/cmake/vkdit")
install(EXPORT vkdit NAMESPACE vkdit:: FILE vkditTargets.cmake COMPONENT dev DESTINATION "${config}")
configure_package_config_file(cmake/vkditConfig.cmake.in "${PROJECT_BINARY_DIR}/vkditConfig.cmake" INSTALL_DESTINATION "${config}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/vkditConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/vkditConfig.cmake" "${PROJECT_BINARY_DIR}/vkditConfigVersion.cmake" COMPONENT dev
  DESTINATION "${config}")

# Relative, so that the folder can be moved.
file(RELATIVE_PATH prefix "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" prefix "${prefix}")
set(mpi "")
if(MPI_C_FOUND)
  list(JOIN MPI_C_LIBRARIES " " mpi)
endif()
configure_file(cmake/vkdit.pc.in "${PROJECT_BINARY_DIR}/vkdit.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/vkdit.pc" COMPONENT dev DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
install(DIRECTORY docs/examples COMPONENT dev DESTINATION "${CMAKE_INSTALL_DOCDIR}")
