#!/usr/bin/env bash
# Signed requests (AWS Signature Version 4) through two sites: the signature covers host, path, query and fields, so
# whatever hoft changed would be refused. A real client (minio-go) against an S3 server that checks (scripts/s3).
source "$(dirname "${BASH_SOURCE[0]}")/lib/run.bash"
source "$e2e/lib/sites.bash"
build
(cd "$root/scripts/s3" && go build -o "$work/bin/s3" .)
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy

spawn s3 s3 -serve "$work/s3.addr"
eventually 20 test -s "$work/s3.addr" || die "the S3 server does not start"
callee=$(<"$work/s3.addr")
pipe_keys=("settle: 250ms")
upstream_keys=("preserve_host: true")
sites
serve b a
ok "the client, directly" eval 's3 -call "$callee" -bucket direct >"$work/direct.txt"'
ok "the client, by hoft" eval 's3 -call "${front#http://}" -bucket via >"$work/via.txt"'
is "everything comes out the same" "$(<"$work/via.txt")" "$(<"$work/direct.txt")"
has "a wrong signature is refused" "$(<"$work/via.txt")" '^wrong secret: 403'
has "a presigned URL works" "$(<"$work/via.txt")" '^presigned: 200'
has "a changed one does not" "$(<"$work/via.txt")" '^presigned: 403'
has "parts are signed chunk by chunk, and come so" "$(<"$work/s3.log")" 'PUT /via/several parts: [0-9]{2,} signed chunks'
say "$(sed 's/^/      /' "$work/via.txt")"
finish
