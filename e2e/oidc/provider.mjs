// A real OpenID provider (npm oidc-provider) for the tests of single sign-on: some people, one client, back-channel logout, and a few switches under /control.
//
//   OIDC_MODULES   folder that holds node_modules with oidc-provider
//   OIDC_PORT      port on loopback
//   OIDC_SLUICE    origin of Sluice's own pages
//   OIDC_SLUG      short name of the provider in Sluice
//   OIDC_CONFORM   "false" puts all claims into the id token; else they are only in userinfo, as the specification has it
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const env = process.env;
const { Provider } = await import(pathToFileURL(join(env.OIDC_MODULES, 'node_modules/oidc-provider/lib/index.js')));

const issuer = `http://127.0.0.1:${env.OIDC_PORT}`;
const people = {};
const told = []; // what became of each call of the back channel
let keys = [];

// What the provider has stored outlives a change of its keys.
const stored = new Map();

class Store {
  constructor(kind) { this.kind = kind; }
  key(id) { return `${this.kind}:${id}`; }
  async upsert(id, payload) { stored.set(this.key(id), payload); }
  async find(id) { return stored.get(this.key(id)); }
  async findByUid(uid) { return [...stored.values()].find((v) => v.uid === uid); }
  async findByUserCode() { return undefined; }
  async consume(id) { stored.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { stored.delete(this.key(id)); }
  async revokeByGrantId(grant) {
    for (const [key, v] of stored) if (v.grantId === grant) stored.delete(key);
  }
}

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };
}

function start() {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'sluice',
      client_secret: 'a secret of 32 characters or more',
      redirect_uris: [`${env.OIDC_SLUICE}/sso/${env.OIDC_SLUG}/callback`],
      post_logout_redirect_uris: [`${env.OIDC_SLUICE}/logout`],
      backchannel_logout_uri: `${env.OIDC_SLUICE}/sso/${env.OIDC_SLUG}/back-channel-logout`,
      backchannel_logout_session_required: true,
    }],
    jwks: { keys },
    adapter: Store,
    // Sluice is on loopback, where the provider would call nobody by itself.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    scopes: ['openid', 'groups'],
    claims: {
      openid: ['sub'],
      profile: ['name', 'preferred_username'],
      email: ['email', 'email_verified'],
      groups: ['groups'],
    },
    conformIdTokenClaims: env.OIDC_CONFORM !== 'false',
    features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    cookies: { keys: ['only for tests'] },
    pkce: { required: () => true },
    ttl: { AccessToken: 300, AuthorizationCode: 60, IdToken: 300, Interaction: 600, Grant: 3600, Session: 3600 },
    async findAccount(_, sub) {
      return { accountId: sub, claims: async () => ({ sub, ...people[sub] }) };
    },
  });
  provider.on('backchannel.success', (_, client, sub, sid) => told.push({ sub, sid, ok: true }));
  provider.on('backchannel.error', (_, error, client, sub, sid) => told.push({ sub, sid, ok: false, error: error.message }));
  return provider.callback();
}

async function body(req) {
  let text = '';
  for await (const chunk of req) text += chunk;
  return JSON.parse(text);
}

keys = [newKey()];
let handle = start();

createServer(async (req, res) => {
  if (!req.url.startsWith('/control/')) return handle(req, res);
  switch (req.url) {
    case '/control/people': // sets what is known of people
      Object.assign(people, await body(req));
      break;
    case '/control/rotate': // signs with a new key; the old one is not published any more
      keys = [newKey()];
      handle = start();
      break;
    case '/control/told':
      res.setHeader('Content-Type', 'application/json');
      return res.end(JSON.stringify(told));
    default:
      res.statusCode = 404;
  }
  return res.end();
}).listen(Number(env.OIDC_PORT), '127.0.0.1');
