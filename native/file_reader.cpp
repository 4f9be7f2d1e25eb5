#include "file_reader.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace mlx_gemma {

namespace {

/** Large enough that a call's cost does not show, small enough to share a layer's largest matrix. */
constexpr size_t kPiece = size_t{2} << 20;

/** The calling thread comes second where cores are few: JavaScript's parses a tokenizer at the same time,
 * alone, and is what a load waits for in the end. */
void step_back() {
#if defined(__linux__)
  ::setpriority(PRIO_PROCESS, 0, 5);
#endif
}

std::string message_of(int error) { return std::generic_category().message(error); }

std::vector<Extent> pieces_of(const std::vector<Extent>& extents) {
  std::vector<Extent> pieces;
  for (const Extent& extent : extents) {
    for (size_t at = 0; at < extent.bytes; at += kPiece) {
      pieces.push_back({.file = extent.file,
                        .offset = extent.offset + at,
                        .bytes = std::min(kPiece, extent.bytes - at),
                        .data = extent.data + at});
    }
  }
  return pieces;
}

}  // namespace

FileReader::FileReader(std::vector<std::string> paths) : paths_(std::move(paths)) {
  for (const std::string& path : paths_) {
    // A pipe in the file's place is not waited for.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
      const std::string found = message_of(errno);
      for (int open : descriptors_) ::close(open);
      throw ReadError(path, "expected a readable file, found: " + found);
    }
    descriptors_.push_back(descriptor);
  }
}

FileReader::~FileReader() {
  for (int descriptor : descriptors_) ::close(descriptor);
}

void FileReader::fill(const std::vector<Extent>& extents, int threads,
                      const std::atomic<bool>& cancelled) const {
  const std::vector<Extent> pieces = pieces_of(extents);
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex guard;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      for (size_t i; (i = next.fetch_add(1)) < pieces.size() && !failed && !cancelled;) read(pieces[i]);
    } catch (...) {
      const std::lock_guard lock(guard);
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  };
  // All of them end with this: a thread that has stepped back can't return.
  std::vector<std::thread> readers;
  const auto wanted = std::min<size_t>(std::max(threads, 1), pieces.size());
  try {
    while (readers.size() < wanted) {
      readers.emplace_back([&] {
        step_back();
        work();
      });
    }
  } catch (const std::system_error&) {
    if (readers.empty()) work();  // Fewer threads do it, too.
  }
  for (std::thread& reader : readers) reader.join();
  if (failure) std::rethrow_exception(failure);
}

void FileReader::read(const Extent& piece) const {
  for (size_t done = 0; done < piece.bytes;) {
    const ssize_t count = ::pread(descriptors_[piece.file], piece.data + done, piece.bytes - done,
                                  static_cast<off_t>(piece.offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      throw ReadError(paths_[piece.file], "expected a readable file, found: " + message_of(errno));
    }
    if (count == 0) {
      struct stat now {};
      ::fstat(descriptors_[piece.file], &now);
      throw ReadError(paths_[piece.file], "expected " + std::to_string(piece.offset + piece.bytes) +
                                              " bytes or more, found " + std::to_string(now.st_size));
    }
    done += static_cast<size_t>(count);
  }
}

}  // namespace mlx_gemma
