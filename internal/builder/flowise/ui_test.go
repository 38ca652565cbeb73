package flowise

import (
	"strings"
	"testing"

	"sluice/internal/authz"
	"sluice/internal/profile"
)

// uiRequests were recorded from the pages of flowise@3.1.4 in a browser (F is a flow's id). Each
// names the least action that it should need.
const uiRequests = `
GET /api/v1/settings app:open
POST /api/v1/auth/resolve app:open
GET /api/v1/auth/sso-success app:open
GET /api/v1/auth/permissions/API_KEY app:open
GET /api/v1/user app:open
POST /api/v1/account/logout app:open
GET /api/v1/node-icon/startAgentflow app:open
GET /api/v1/components-credentials-icon/openAIApi app:open
GET /api/v1/chatflows flow:view
GET /api/v1/chatflows/F flow:view
GET /api/v1/chatflows/has-changed/F/2026-11-21T18:33:28.000Z flow:view
GET /api/v1/executions flow:view
GET /api/v1/assistants flow:view
GET /api/v1/marketplaces/templates flow:view
GET /api/v1/marketplaces/custom flow:view
GET /api/v1/tools flow:view
GET /api/v1/variables flow:view
GET /api/v1/components-credentials flow:view
GET /api/v1/document-store/store flow:view
GET /api/v1/nodes flow:view
GET /api/v1/internal-chatmessage/F flow:view
GET /api/v1/chatflows-streaming/F flow:run
GET /api/v1/chatflows-uploads/F flow:run
GET /api/v1/public-chatflows/F flow:view
GET /api/v1/validation/F flow:view
GET /api/v1/assistants/components/chatmodels flow:view
POST /api/v1/node-config flow:view
POST /api/v1/internal-prediction/F flow:run
POST /api/v1/prediction/F flow:run
GET /api/v1/public-chatbotConfig/F flow:run
PUT /api/v1/chatmessage/abort/F/c1 flow:run
POST /api/v1/chatflows flow:edit
PUT /api/v1/chatflows/F flow:edit
DELETE /api/v1/chatflows/F flow:edit
GET /api/v1/credentials flow:edit
POST /api/v1/assistants flow:edit
POST /api/v1/document-store/store flow:edit
POST /api/v1/variables flow:edit
POST /api/v1/node-load-method/chatOpenAI flow:edit
POST /api/v1/tools builder:code
POST /api/v1/node-custom-function builder:code
GET /api/v1/apikey builder:manage
POST /api/v1/credentials builder:manage
GET /api/v1/credentials/F builder:manage
GET /api/v1/credentials/F/reveal builder:manage
GET /v2/agentcanvas/F app:open
GET /v2/agentcanvas/favicon.ico app:open
GET /document-stores/F/My%20store app:open
`

func TestTable_RequestsOfPages(t *testing.T) {
	p := mustProfile(t, "flowise")
	for line := range strings.Lines(strings.TrimSpace(uiRequests)) {
		method, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		path, want, _ := strings.Cut(rest, " ")
		path, err := profile.Canonical(strings.ReplaceAll(path, "/F", "/"+flowA))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		m, ok := p.Match(method, path)
		if !ok || m.Endpoint.Blocked != "" || m.Endpoint.Action != authz.Action(want) {
			t.Errorf("%s %s: %+v, want an open row that needs %s", method, path, m.Endpoint, want)
		}
	}
}
