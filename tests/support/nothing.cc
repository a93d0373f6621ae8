// No code: its target precompiles the headers of the test programs.
