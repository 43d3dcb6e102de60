# What may go wrong around the library does: memory, disks and processes. The sanitizers have a malloc of their own.
if(XGRAD_SANITIZE)
  return()
endif()

file(GLOB works CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*_work.cpp)
if(NOT TARGET xgrad_onnx)
  list(FILTER works EXCLUDE REGEX onnx)
endif()
add_executable(allocations fire/allocations.cpp fire/failing_malloc.cpp ${works} $<TARGET_OBJECTS:rows>)
target_include_directories(allocations PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/include)
target_link_libraries(allocations PRIVATE xgrad_flags xgrad::nn $<TARGET_NAME_IF_EXISTS:xgrad::onnx> ${CMAKE_DL_LIBS})
add_test(NAME "fire: each allocation fails" COMMAND ${environment} $<TARGET_FILE:allocations>)
set_tests_properties("fire: each allocation fails" PROPERTIES TIMEOUT 300)

add_executable(trainer fire/trainer.cpp)
target_link_libraries(trainer PRIVATE xgrad_flags xgrad::nn)
add_test(NAME "fire: a run that is killed goes on with the same bits"
         COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/kill_run 10 $<TARGET_FILE:trainer>)

add_library(disk_shim MODULE fire/disk_shim.cpp)
target_link_libraries(disk_shim PRIVATE xgrad_flags ${CMAKE_DL_LIBS})
add_test(NAME "fire: a disk that fails leaves the older checkpoint whole"
         COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/disk_run $<TARGET_FILE:trainer> $<TARGET_FILE:disk_shim>)
set_tests_properties("fire: a disk that fails leaves the older checkpoint whole" PROPERTIES TIMEOUT 300)
add_test(NAME "fire: many runs at once, half of them on one file, end with the same bits"
         COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/crowd_run 12 $<TARGET_FILE:trainer>)

# usage: fire_test(PROGRAM NAME ARGUMENTS…), which are those of a short run
function(fire_test program name)
  add_executable(${program} fire/${program}.cpp)
  target_link_libraries(${program} PRIVATE xgrad_flags xgrad::nn Threads::Threads ${CMAKE_DL_LIBS})
  add_test(NAME "fire: ${name}" COMMAND ${environment} $<TARGET_FILE:${program}> ${ARGN})
  set_tests_properties("fire: ${name}" PROPERTIES TIMEOUT 300)
endfunction()
fire_test(power_loss "a checkpoint survives the loss of power after any call" 3 5)
fire_test(forks "a child of a process with threads works like its parent" 10)
fire_test(soak "memory stays as it is over many steps, threads, models and checkpoints" 20000 4)
