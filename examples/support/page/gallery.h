// The page that links all lessons: pictures, numbers, what each one claims and whether it held.
#pragma once
#include <string>

namespace ink::lesson {

struct GalleryCount {
  int lessons = 0, failed = 0;  // failed: a claim failed, the run stopped early, or its metrics cannot be read
};

// Reads folder/*/metrics.json in order of their names and writes folder/index.html. IoError if the folder is missing.
GalleryCount write_gallery(const std::string& folder);

}  // namespace ink::lesson
