# What of an exercise a reader gets as a copy of their own: all up to the choice of the function, and the function that is to be written.
/^#ifdef INK_YOURS/,/^\/\/\[ yours/d
/^\/\/\]/,$d
