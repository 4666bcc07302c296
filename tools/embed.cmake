# Turns a file into a C array, so that the program needs no file at run time.
#   cmake -DIN=file -DOUT=file.c -DNAME=rf_x -DHEADER=path.h -P embed.cmake
# writes `const unsigned char NAME[]` and `const size_t NAME_bytes`, both declared in HEADER.
file(READ ${IN} hex HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(0x0a,)" "\\1\n" bytes "${bytes}") # a line of C for each line of the file
get_filename_component(from ${IN} NAME)
file(WRITE ${OUT} "/* ${from}, by tools/embed.cmake. */\n#include \"${HEADER}\"\n\n"
    "const unsigned char ${NAME}[] = {\n${bytes}};\nconst size_t ${NAME}_bytes = sizeof ${NAME};\n")
