# Who may include whom: kernels <- engine <- tools, and inside the engine core <- files, text,
# model, sample <- relay.  bench and tests may include anything; nobody includes them.
# Run from the root of the tree over every source file.

function complain(why) {
    printf "%s:%d: %s\n    %s\n", FILENAME, FNR, why, $0
    bad = 1
}

# The layer of a path: its first folder, and the second one inside the engine.
function layer(path,    part, n) {
    n = split(path, part, "/")
    if (part[1] == "engine") return n > 2 ? "engine/" part[2] : "engine"
    return part[1]
}

function exists(path,    line, found) {
    found = (getline line < path) >= 0
    close(path)
    return found
}

BEGIN {
    may["kernels"] = "kernels"
    may["engine"] = "kernels engine" # the public header, which is two files
    may["engine/core"] = "kernels engine/core"
    may["engine/files"] = may["engine/core"] " engine/files engine" # engine: rf_png_write
    may["engine/text"] = may["engine/core"] " engine/text"
    may["engine/model"] = may["engine/core"] " engine/model"
    may["engine/sample"] = may["engine/core"] " engine/sample"
    may["engine/relay"] = may["engine/core"] " engine engine/files engine/text engine/model" \
        " engine/sample engine/relay"
    may["tools"] = may["engine/relay"] " tools"
    may["bench"] = may["tools"] " bench tests"
    may["tests"] = may["bench"]
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    from = layer(FILENAME)
    to = layer(quoted[2])
    if (!exists(quoted[2]))
        complain("includes are written from the root of the tree: no such file there")
    else if (index(" " may[from] " ", " " to " ") == 0)
        complain(from " may not include " to)
}

/^[ \t]*#[ \t]*include[ \t]*<(cuda|cublas|cudnn|nvtx|nv)/ {
    if (FILENAME !~ /^kernels\/(.*\.cu$|device\/|[^\/]*\/vendor\.c$)|^engine\/core\/(device_cuda|trace_nvtx)\.c$|nvtx_probe\.c$|^tests\/vendor\//)
        complain("CUDA headers stay in .cu files, kernels/device/, vendor.c, device_cuda.c, " \
            "trace_nvtx.c and tests/vendor/")
}

# One header includes oneDNN (kernels/onednn_api.h), so that 2.x and 3.x differ in one place.
/^[ \t]*#[ \t]*include[ \t]*<(oneapi\/dnnl\/)?dnnl/ {
    if (FILENAME !~ /^kernels\//) complain("oneDNN is known to kernels/ alone")
    if (dnnl && dnnl != FILENAME) complain("oneDNN is already included by " dnnl)
    dnnl = FILENAME
}

END { exit bad }
