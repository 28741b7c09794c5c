// Package vectors runs the test vectors of Project Wycheproof (github.com/c2sp/wycheproof, Apache-2.0)
// against hoft and against the JOSE library it uses. It is a module of its own, because the vectors are
// large and hoft itself does not need them:
//
//	cd internal/vectors && go test ./...
package vectors
