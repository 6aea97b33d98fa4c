// npm's jose signs an assertion for each client that signs.
//
// assertions.mjs SCENE_FILE, as scene.py writes it. Prints a line of JSON for each.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { importJWK, SignJWT } from 'jose';

const scene = JSON.parse(readFileSync(process.argv[2], 'utf8'));

for (const { client_id, alg, private_jwk } of scene.clients.filter((client) => client.alg)) {
  const assertion = await new SignJWT()
    .setProtectedHeader({ alg, kid: private_jwk.kid, typ: 'JWT' })
    .setIssuer(client_id)
    .setSubject(client_id)
    .setAudience(scene.issuer)
    .setIssuedAt()
    .setExpirationTime('4m')
    .setJti(randomUUID())
    .sign(await importJWK(private_jwk, alg));
  console.log(JSON.stringify({ client_id, assertion }));
}
