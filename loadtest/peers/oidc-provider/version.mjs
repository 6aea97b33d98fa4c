// What serves, in a line.

import { readFileSync } from 'node:fs';

const version = (name) => {
  const file = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return `${name} ${JSON.parse(readFileSync(file, 'utf8')).version}`;
};
console.log(`${version('oidc-provider')}, opaque tokens in Redis by ${version('ioredis')}, node ${process.versions.node}, one process`);
