"""Runs a command on a pseudo-terminal. Reads a JSON object from stdin: argv, env, columns, rows, keys (a list of
{"after": text that must have been shown, "send": what is typed then, "columns": how wide the terminal becomes}),
stdout ("terminal" or a file's path), limit (seconds). Prints a JSON object: code (negative: the signal that killed
it), output, and arrivals: a list of [seconds since the start, bytes of output by then]."""
import fcntl, json, os, pty, select, signal, struct, sys, termios, time

job = json.load(sys.stdin)
pid, fd = pty.fork()
if pid == 0:
    if job["stdout"] != "terminal":
        os.dup2(os.open(job["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 1)
    # The size must be there before the command looks at it.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", job["rows"], job["columns"], 0, 0))
    os.execvpe(job["argv"][0], job["argv"], job["env"])

start = time.time()
out, keys, end, arrivals = b"", list(job["keys"]), start + job["limit"], []
while time.time() < end:
    if select.select([fd], [], [], 0.05)[0]:
        try:
            chunk = os.read(fd, 65536)
        except OSError:  # Linux's way to say that the other side is closed.
            break
        if not chunk:
            break
        out += chunk
        arrivals.append([time.time() - start, len(out)])
    while keys and keys[0]["after"].encode() in out:
        key = keys.pop(0)
        time.sleep(key.get("wait", 0))
        if "columns" in key:  # The kernel sends SIGWINCH.
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", job["rows"], key["columns"], 0, 0))
        os.write(fd, key["send"].encode())
if time.time() >= end:
    os.kill(pid, signal.SIGKILL)
_, status = os.waitpid(pid, 0)
code = os.waitstatus_to_exitcode(status)
print(json.dumps({"code": code, "output": out.decode(errors="replace"), "arrivals": arrivals}))
