// Fills memory from files on several threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace mlx_gemma {

/** A file that can't be read, or ends too early. */
class ReadError : public std::runtime_error {
 public:
  ReadError(std::string file, const std::string& what) : std::runtime_error(what), file_(std::move(file)) {}
  const std::string& file() const { return file_; }

 private:
  std::string file_;
};

/** Bytes of a file that belong at `data`. */
struct Extent {
  size_t file;  // Index into the reader's paths.
  uint64_t offset;
  size_t bytes;
  char* data;
};

/** Files that are open for reading. */
class FileReader {
 public:
  /** @throws ReadError */
  explicit FileReader(std::vector<std::string> paths);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  /**
   * Fills all extents with at most `threads` threads of its own; the caller's reads where none is to be had.
   * Memory that was just allocated is first touched here, so that providing its pages is spread over them,
   * too.
   *
   * @param cancelled looked at between pieces; what is filled then is left to chance
   * @throws ReadError the first that a thread met
   */
  void fill(const std::vector<Extent>& extents, int threads, const std::atomic<bool>& cancelled) const;

 private:
  void read(const Extent& piece) const;

  std::vector<std::string> paths_;
  std::vector<int> descriptors_;
};

}  // namespace mlx_gemma
