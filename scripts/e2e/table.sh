#!/usr/bin/env bash
# The table of features and guards in docs/http.md is what is seen.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
go run ./scripts/table -check
