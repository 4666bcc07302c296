# Turns choice tables into one C file: their text, their SHA-256, and the list of them.
#   cmake -DOUT=file.c -P embed_choices.cmake table.txt...
# Each table is named after its device class.
set(source "/* Choice tables, by tools/embed_choices.cmake. */\n#include \"kernels/choice/choice.h\"\n\n")
set(list "")
set(count 0)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
    set(table ${CMAKE_ARGV${i}})
    if(NOT table MATCHES "\\.txt$")
        continue()
    endif()
    get_filename_component(class ${table} NAME_WE)
    file(SHA256 ${table} sha256)
    file(READ ${table} hex HEX)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "(0x0a,)" "\\1\n" bytes "${bytes}") # a line of C for each line of the file
    string(APPEND source "static const unsigned char ${class}[] = {\n${bytes}};\n\n")
    string(APPEND list "    {\"${class}\", \"${sha256}\", ${class}, sizeof ${class}},\n")
    math(EXPR count "${count} + 1")
endforeach()
file(WRITE ${OUT} "${source}const rf_choice_file rf_choice_files[] = {\n${list}};\n"
    "const size_t rf_choice_files_count = ${count};\n")
