# What `cpack` makes: vkdit and libvkdit-dev as .deb, all of it in one .tar.zst.  ./dev package checks them.
set(CPACK_PACKAGE_NAME vkdit)
set(CPACK_PACKAGE_VENDOR "The vkdit authors")
set(VKD_MAINTAINER "The vkdit authors <vkdit@localhost>" CACHE STRING "Who answers for the packages: NAME <ADDRESS>")
set(CPACK_PACKAGE_CONTACT "${VKD_MAINTAINER}")
set(CPACK_PACKAGE_FILE_NAME "vkdit-${PROJECT_VERSION}-${CMAKE_SYSTEM_NAME}-${CMAKE_SYSTEM_PROCESSOR}")
string(TOLOWER "${CPACK_PACKAGE_FILE_NAME}" CPACK_PACKAGE_FILE_NAME)
set(CPACK_PACKAGE_DIRECTORY "${PROJECT_BINARY_DIR}/packages")
set(CPACK_RESOURCE_FILE_LICENSE "${PROJECT_SOURCE_DIR}/LICENSE")
set(CPACK_GENERATOR DEB TZST)
set(CPACK_SOURCE_GENERATOR TZST)
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 2)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_VKDIT_PACKAGE_NAME vkdit)
set(CPACK_DEBIAN_VKDIT_PACKAGE_SECTION science)
set(CPACK_DEBIAN_VKDIT_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_VKDIT_PACKAGE_RECOMMENDS "mesa-vulkan-drivers, ffmpeg")
set(CPACK_DEBIAN_VKDIT_DESCRIPTION "${PROJECT_DESCRIPTION}
 Training, sampling, profiling and tuning of diffusion transformers on any GPU
 that speaks Vulkan 1.2, or on Mesa's software driver, and scaling laws of the
 runs.")
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libvkdit-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libvulkan-dev, libjansson-dev, libzstd-dev, libyaml-dev")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS "vkdit, pkg-config, cmake")
set(CPACK_DEBIAN_DEV_DESCRIPTION "Static libraries and headers of vkdit
 Graphs of tensors, their gradients and their runs on a Vulkan device; models,
 data, training and sampling of diffusion transformers; scaling laws.")
set(CPACK_PRE_BUILD_SCRIPTS "${PROJECT_SOURCE_DIR}/cmake/package_deb.cmake")
include(CPack)
