# Writes OUT, a C file with the bytes of FILES (paths below ROOT) as `const struct asset assets[]`, ended by a row without a name.
#   cmake -DOUT=assets.c -DROOT=assets "-DFILES=a;b" -P embed.cmake
set(arrays "")
set(rows "")
set(i 0)
foreach(name IN LISTS FILES)
  file(READ ${ROOT}/${name} hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  # The final 0 lets a text be used as a string; it is not counted in the size.
  string(APPEND arrays "static const unsigned char data${i}[] = {${bytes}0};\n")
  string(APPEND rows "    {\"${name}\", data${i}, sizeof data${i} - 1},\n")
  math(EXPR i "${i} + 1")
endforeach()
file(WRITE ${OUT} "#include \"assets.h\"\n\n${arrays}\nconst struct asset assets[] = {\n${rows}    {0},\n};\n")
