// oidc-provider, set up for the grant that jeton serves and as like it as its options allow; tokens in its own memory.
//
// peer.mjs PORT CLIENTS_FILE. The file has clients as RFC 7591 has them, and of each `audience`: whom its tokens may be for, the first
// being the default, and `introspection`: about whose tokens it may ask ("*": all).

import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { errors, Provider } from 'oidc-provider';

const TTL_SECONDS = 3600;
const [port, file] = process.argv.slice(2);
const clients = JSON.parse(readFileSync(file, 'utf8'));
const registered = new Map(clients.map((client) => [client.client_id, client]));
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519'];

const provider = new Provider(issuer, {
  clients: clients.map(({ audience: _, introspection: __, ...client }) => ({ redirect_uris: [], response_types: [], ...client })),
  scopes: ['invoices:read', 'invoices:write'],
  ttl: { ClientCredentials: TTL_SECONDS },
  responseTypes: [],
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt'],
  enabledJWA: { clientAuthSigningAlgValues: algorithms, dPoPSigningAlgValues: algorithms },
  routes: { token: '/oauth2/token', introspection: '/oauth2/introspect', revocation: '/oauth2/revoke' },
  // It must have one, although it signs nothing: tokens are opaque.
  jwks: { keys: [privateKey.export({ format: 'jwk' })] },
  features: {
    clientCredentials: { enabled: true },
    dPoP: { enabled: true },
    introspection: {
      enabled: true,
      allowedPolicy: (_context, client, token) => {
        const { introspection = [] } = registered.get(client.clientId);
        return token.clientId === client.clientId || introspection.includes('*') || introspection.includes(token.aud);
      },
    },
    revocation: { enabled: true, allowedPolicy: (_context, client, token) => token.clientId === client.clientId },
    resourceIndicators: {
      enabled: true,
      defaultResource: (_context, client) => registered.get(client.clientId).audience?.[0],
      getResourceServerInfo: (_context, audience, client) => {
        if (!registered.get(client.clientId).audience?.includes(audience)) throw new errors.InvalidTarget();
        return { audience, scope: 'invoices:read invoices:write', accessTokenTTL: TTL_SECONDS, accessTokenFormat: 'opaque' };
      },
    },
    devInteractions: { enabled: false },
  },
});

createServer(provider.callback()).listen(Number(port), '127.0.0.1');
