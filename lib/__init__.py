"""The shared package `lib`: everything a notebook calls. Kernels carry verbatim copies of the modules they reach."""
