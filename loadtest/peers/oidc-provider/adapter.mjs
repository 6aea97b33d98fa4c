// Where oidc-provider keeps its tokens: the adapter its documentation asks for, on Redis.
//
// Only what client credentials need: no grants, no user codes, no consumption. A token is one string that expires by itself, written
// by one command: the two in a MULTI that the documentation's example takes would leave alone, since ioredis gathers no MULTI.

// Access tokens of other grants, refresh tokens and sessions are never made here: what cannot be there is not asked for.
const KEPT = new Set(['ClientCredentials']);

// A class whose instances keep one kind of model each, as oidc-provider's configuration wants it.
export function redisAdapter(redis) {
  return class RedisAdapter {
    constructor(kind) {
      this.kept = KEPT.has(kind);
      this.prefix = `oidc:${kind}:`;
    }

    async upsert(id, payload, expiresInSeconds) {
      await redis.set(this.prefix + id, JSON.stringify(payload), 'EX', expiresInSeconds);
    }

    async find(id) {
      if (!this.kept) return undefined;
      const payload = await redis.get(this.prefix + id);
      return payload === null ? undefined : JSON.parse(payload);
    }

    async destroy(id) {
      await redis.del(this.prefix + id);
    }
  };
}
