# What of an exercise a reader gets as a copy: all up to the choice of the function, and the function to be written.
/^#ifdef INK_YOURS/,/^\/\/\[ yours/d
/^\/\/\]/,$d
