// Package langflowtest is a Langflow for tests: a server on loopback that keeps its users apart by
// tokens signed with its secret key, and answers with the statuses and bodies that langflow 1.13.0
// gave, or 1.6.8 where Old is set.
//
// It knows two kinds of callers. What came through Sluice's proxy (it has X-Forwarded-For) is
// logged and can be answered by the test; what Sluice itself asks is counted. Exported fields may
// be changed while it runs within With.
package langflowtest
