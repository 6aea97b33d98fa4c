// openid-client: whatever it can do of what jeton serves, done as its documentation says.
//
// clients.mjs SCENE_FILE, as scene.py writes it. Prints a line of JSON for each thing that was done.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose';
import * as library from 'openid-client';
import { Agent, fetch } from 'undici';

const scene = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const worker = scene.clients[0];
const withNonces = scene.nonces ? ', with nonces' : '';
const pem = (name) => readFileSync(`${scene.folder}/${name}`, 'utf8');

// Answers with this header field that the library got.
let nonces = 0;

// How the library reaches the service: it believes the authority of this run, and shows this certificate.
function fetching(shown) {
  const certificate = shown ? { cert: pem(`${shown}.crt`), key: pem(`${shown}.key`) } : {};
  const dispatcher = new Agent({ connect: { ca: pem('ca.crt'), ...certificate } });
  return async (url, options) => {
    const answer = await fetch(url, { ...options, dispatcher });
    if (answer.headers.has('dpop-nonce')) nonces += 1;
    return answer;
  };
}

// The library's configuration for a client; or with another secret, key or certificate than its own.
async function configured(client, { secret, key, shown, document, algorithm } = {}) {
  const metadata = { use_mtls_endpoint_aliases: Boolean(client.certificate) };
  const server = new URL(document ? `${scene.issuer}/.well-known/${document}` : scene.issuer);
  return library.discovery(server, client.client_id, metadata, await proving(client, secret, key), {
    algorithm: algorithm ?? 'oauth2',
    [library.customFetch]: fetching(client.certificate && (shown ?? client.certificate)),
  });
}

async function proving(client, secret = client.client_secret, key = undefined) {
  switch (client.method) {
    case 'client_secret_basic':
      return library.ClientSecretBasic(secret);
    case 'client_secret_post':
      return library.ClientSecretPost(secret);
    case 'private_key_jwt': {
      key ??= await importJWK(client.private_jwk, client.alg);
      // By itself it writes the name of RFC 9864, Ed25519.
      const naming = (header) => {
        header.alg = client.alg;
      };
      return library.PrivateKeyJwt({ key, kid: client.private_jwk.kid }, { [library.modifyAssertion]: naming });
    }
    default:
      return library.TlsClientAuth();
  }
}

const ordersApi = await configured(scene.resource_server);

async function isActive(asker, token, client, tokenType, cnf) {
  const seen = await library.tokenIntrospection(asker, token);
  const { active, client_id, sub, scope, aud, iss, token_type } = seen;
  const expected = { active: true, client_id: client.client_id, sub: client.client_id, scope: scene.scope, aud: scene.api };
  assert.deepEqual({ active, client_id, sub, scope, aud, iss, token_type }, { ...expected, iss: scene.issuer, token_type: tokenType });
  assert.deepEqual(seen.cnf, cnf);
}

async function ends(ours, token) {
  await library.tokenRevocation(ours, token);
  for (const asker of [ordersApi, ours]) assert.deepEqual(await library.tokenIntrospection(asker, token), { active: false });
  // "Invalid tokens do not cause an error response" (RFC 7009 section 2.2).
  await library.tokenRevocation(ours, token);
}

// A token is issued, seen by who serves the API and by its own client, given back, and then inactive to both.
async function life(client) {
  const ours = await configured(client);
  const answer = await library.clientCredentialsGrant(ours, { scope: scene.scope });
  assert.equal(answer.token_type, 'bearer', 'the library writes it in small letters');
  assert.equal(answer.scope, scene.scope);
  assert.ok(answer.expiresIn() > 3500);
  const cnf = client.thumbprint ? { 'x5t#S256': client.thumbprint } : undefined;
  for (const asker of [ordersApi, ours]) await isActive(asker, answer.access_token, client, 'Bearer', cnf);
  await ends(ours, answer.access_token);
}

// The library must reject with this code: in an error's body, or, where there is a challenge, which it reads first, beside it.
async function refused(code, doing) {
  let error;
  try {
    await doing();
  } catch (thrown) {
    error = thrown;
  }
  assert.ok(error, 'not refused');
  if (error instanceof library.WWWAuthenticateChallengeError) {
    assert.equal(error.status, 401);
    assert.equal((await error.response.json()).error, code);
  } else {
    assert.ok(error instanceof library.ResponseBodyError, error);
    assert.equal(error.error, code);
    assert.ok(error.error_description);
  }
  return error;
}

// Another's secret, key or certificate, at each endpoint.
async function wrongProof(client) {
  const key = client.alg && (await generateKeyPair(client.alg)).privateKey;
  const wrong = await configured(client, { secret: 'guessed', key, shown: 'stranger' });
  await refused('invalid_client', () => library.clientCredentialsGrant(wrong));
  await refused('invalid_client', () => library.tokenIntrospection(wrong, 'a-token'));
  await refused('invalid_client', () => library.tokenRevocation(wrong, 'a-token'));
}

// From a URL alone to a token.
async function discovery(how) {
  const ours = await configured(worker, how);
  assert.equal(ours.serverMetadata().issuer, scene.issuer);
  assert.equal(ours.serverMetadata().supportsPKCE(), false);
  await ends(ours, (await library.clientCredentialsGrant(ours)).access_token);
}

// RFC 8707, and the name by which others ask for the same.
async function targets() {
  const ours = await configured(worker);
  const { api, orders } = scene;
  for (const [asked, aud] of [
    [{ resource: api }, api],
    [{ audience: orders }, orders],
    [{ resource: api, audience: orders }, [api, orders]],
  ]) {
    const { access_token } = await library.clientCredentialsGrant(ours, asked);
    assert.deepEqual((await library.tokenIntrospection(ordersApi, access_token)).aud, aud);
  }
}

async function unknown() {
  const ours = await configured(worker);
  await refused('invalid_target', () => library.clientCredentialsGrant(ours, { resource: 'https://unknown.example' }));
  await refused('invalid_target', () => library.clientCredentialsGrant(ours, { audience: 'unknown' }));
  await refused('invalid_scope', () => library.clientCredentialsGrant(ours, { scope: 'unknown' }));
}

// To a key that is made here. Where nonces are asked for the library learns them from refusals.
async function bound(alg) {
  const ours = await configured(scene.dpop);
  const keys = await library.randomDPoPKeyPair(alg, { extractable: true });
  const named = (header) => {
    if (header.alg === 'Ed25519') header.alg = alg;
  };
  const DPoP = library.getDPoPHandle(ours, keys, { [library.modifyAssertion]: named });
  const jkt = await calculateJwkThumbprint(await exportJWK(keys.publicKey));
  nonces = 0;
  // A second one has the nonce from the start.
  for (let turn = 1; turn <= 2; turn += 1) {
    const answer = await library.clientCredentialsGrant(ours, { scope: scene.scope }, { DPoP });
    assert.equal(answer.token_type, 'dpop', 'the library writes it in small letters');
    for (const asker of [ordersApi, ours]) await isActive(asker, answer.access_token, scene.dpop, 'DPoP', { jkt });
    await ends(ours, answer.access_token);
  }
  assert.equal(nonces > 0, scene.nonces);
}

async function noProof() {
  const ours = await configured(scene.dpop);
  await refused('invalid_dpop_proof', () => library.clientCredentialsGrant(ours));
}

async function attempt(method, what, doing) {
  let failure;
  try {
    await doing();
  } catch (error) {
    failure = error.cause ? `${error.stack} because of ${JSON.stringify(error.cause)} ${error.cause.stack ?? ''}` : error.stack;
  }
  console.log(JSON.stringify({ method, what, failure }));
}

async function everything() {
  for (const client of scene.clients) {
    await attempt(client.label, 'token, introspection, revocation, inactive', () => life(client));
    await attempt(client.label, 'wrong proof: invalid_client', () => wrongProof(client));
  }
  for (const document of ['openid-configuration', 'oauth-authorization-server']) {
    await attempt('discovery', `/.well-known/${document}`, () => discovery({ document }));
  }
  for (const algorithm of ['oidc', 'oauth2']) await attempt('discovery', `by ${algorithm}`, () => discovery({ algorithm }));
  await attempt('resource, audience', 'aud as asked for', targets);
  await attempt('resource, scope', 'unknown ones: invalid_target, invalid_scope', unknown);
}

if (!scene.nonces) await everything();
for (const alg of scene.algorithms) {
  await attempt(`DPoP ${alg}${withNonces}`, 'bound token, introspection, revocation, inactive', () => bound(alg));
}
await attempt(`DPoP${withNonces}`, 'none where one is needed: invalid_dpop_proof', noProof);
