#!/bin/sh
# Makes the frames beside this file with the lz4 program (1.9.4) and with python-lz4 (4.4.5); see README.md.
set -eu
cd "$(dirname "$0")"

# What is compressed: src/codec/lz4/tests.rs has the same.
text() {
    awk -v lines="$1" 'BEGIN { for (i = 0; i < lines; i++) if (i % 1000) print "a user views a product"; else print "user", i, "checks out" }'
}
noise() {
    awk 'BEGIN { s = 1; for (i = 0; i < 70000; i++) { s = (s * 69069 + 1) % 4294967296; printf "%c", 33 + int(s / 65536) % 94 } }'
}

text 200000 | lz4 -q -B7 -BI >4mib-independent.lz4
text 200000 | lz4 -q -B7 -BD >4mib-linked.lz4
text 200000 | lz4 -q -12 -B7 -BD --no-frame-crc >4mib-linked-high.lz4
text 20000 | lz4 -q -B4 -BD -BX >64kib-linked-block-checksums.lz4
text 20000 | lz4 -q -B5 -BI -BX >256kib-independent-block-checksums.lz4
text 60000 | lz4 -q -9 -B6 -BD >1mib-linked-high.lz4
text 20000 >content && lz4 -q -f --content-size -B7 -BD content content-size.lz4 && rm content
noise | lz4 -q -B4 -BD >incompressible.lz4
printf '' | lz4 >empty.lz4
text 20000 | python3 -c '
import sys, lz4.frame as frame
sys.stdout.buffer.write(frame.compress(sys.stdin.buffer.read(), block_size=frame.BLOCKSIZE_MAX4MB,
    block_linked=True, content_checksum=True, block_checksum=True, store_size=True))' >python.lz4
