const FENCE = '"""';

/**
 * Puts messages together from lines: a line that ends with a backslash goes on in the next one, and `"""` begins a
 * block that the next `"""` ends.
 */
export class MessageLines {
  #lines: string[] = [];
  #fenced = false;

  /** Whether a message has begun. */
  get open(): boolean {
    return this.#fenced || this.#lines.length > 0;
  }

  /** Takes a line; the message when it is complete. */
  push(line: string): string | undefined {
    if (this.#fenced) {
      const end = line.trimEnd().endsWith(FENCE);
      this.#lines.push(end ? line.trimEnd().slice(0, -FENCE.length) : line);
      return end ? this.finish() : undefined;
    }
    if (this.#lines.length === 0 && line.trimStart().startsWith(FENCE)) {
      const rest = line.trimStart().slice(FENCE.length);
      const end = rest.trimEnd().endsWith(FENCE);
      this.#fenced = !end;
      if (end) return rest.trimEnd().slice(0, -FENCE.length);
      if (rest.trim() !== "") this.#lines.push(rest);
      return undefined;
    }
    const goesOn = line.endsWith("\\");
    this.#lines.push(goesOn ? line.slice(0, -1) : line);
    return goesOn ? undefined : this.finish();
  }

  /** What there is, when no more comes; undefined when nothing is. */
  finish(): string | undefined {
    const message = this.open ? this.#lines.join("\n").replace(/\n$/, "") : undefined;
    this.clear();
    return message;
  }

  /** Forgets what has begun. */
  clear(): void {
    this.#lines = [];
    this.#fenced = false;
  }
}
