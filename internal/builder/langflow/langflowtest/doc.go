// Package langflowtest is a Langflow for tests: a server on loopback that keeps its users apart
// with tokens signed with its secret key. It answers with the statuses and bodies of langflow
// 1.13.0, or of 1.6.8 if Old is set.
//
// It distinguishes two kinds of callers. Requests through Sluice's proxy (which have
// X-Forwarded-For) are logged and can be answered by the test. Requests by Sluice itself are
// counted. Use With to change exported fields while the server runs.
package langflowtest
