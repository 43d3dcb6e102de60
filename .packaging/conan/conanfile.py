"""conan create .packaging/conan --build=missing"""

import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load


class Xgrad(ConanFile):
    name = "xgrad"
    description = "Exact gradients of any order, and neural networks, for xtensor"
    license = "BSD-3-Clause"
    topics = ("autodiff", "deep-learning", "xtensor")
    settings = "os", "compiler", "build_type", "arch"
    options = {"shared": [True, False], "with_images": [True, False], "with_zip": [True, False]}
    default_options = {"shared": True, "with_images": True, "with_zip": True}
    package_type = "library"

    @property
    def _root(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def set_version(self):
        text = load(self, os.path.join(self._root, "CMakeLists.txt"))
        self.version = self.version or re.search(r"project\(xgrad VERSION ([\d.]+)", text).group(1)

    def export_sources(self):
        for part in ("CMakeLists.txt", "LICENSE", "autograd/*", "nn/*"):
            copy(self, part, self._root, self.export_sources_folder)

    def requirements(self):
        # What the headers include goes on to programs.
        for package in ("xtensor/[>=0.24 <0.28]", "xtensor-blas/[>=0.20]", "xsimd/[>=8]", "fmt/[>=9 <12]", "openblas/[>=0.3]"):
            self.requires(package, transitive_headers=True, transitive_libs=True)
        for package in ("nlohmann_json/[>=3.11]", "zlib/[>=1.2.11]", "utf8proc/[>=2.7]"):
            self.requires(package)
        if self.options.with_images:
            self.requires("libpng/[>=1.6]")
            self.requires("libjpeg/[>=9]")
        if self.options.with_zip:
            self.requires("libzip/[>=1.7]")

    def validate(self):
        check_min_cppstd(self, 20)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["XGRAD_BUILD_TESTS"] = False
        toolchain.cache_variables["XGRAD_BUILD_EXAMPLES"] = False
        for package, wanted in (("PNG", self.options.with_images), ("JPEG", self.options.with_images),
                                ("libzip", self.options.with_zip), ("Protobuf", False), ("MPI", False)):  # fmt: skip
            toolchain.cache_variables[f"CMAKE_DISABLE_FIND_PACKAGE_{package}"] = not wanted
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()

    def package_info(self):
        # The package brings its own files for CMake and pkg-config.
        self.cpp_info.set_property("cmake_find_mode", "none")
        self.cpp_info.builddirs = ["lib/cmake/xgrad"]
        self.cpp_info.includedirs = ["include/xgrad"]
        self.cpp_info.libs = ["xgrad_nn", "xgrad_autograd"]
