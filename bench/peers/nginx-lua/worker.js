const { Redis } = require('../bullmq/node_modules/ioredis');
const { handled } = require('../tally');

const redis = new Redis({ port: +process.env.REDIS_PORT, maxRetriesPerRequest: null });
redis.on('error', () => {});
const handle = (text) => handled(JSON.parse(text));

async function work() {
  // What a worker before this one had taken, and not finished.
  const left = await redis.lrange('taken', 0, -1);
  left.forEach(handle);
  if (left.length) await redis.del('taken');
  for (;;) {
    const first = await redis.blmove('q', 'taken', 'RIGHT', 'LEFT', 1);
    if (!first) continue;
    const more = redis.pipeline();
    for (let i = 0; i < 99; i++) more.lmove('q', 'taken', 'RIGHT', 'LEFT');
    const taken = (await more.exec()).map(([, text]) => text).filter(Boolean);
    [first, ...taken].forEach(handle);
    await redis.del('taken');
  }
}

(async () => {
  for (;;) await work().catch(() => new Promise((again) => setTimeout(again, 100)));
})();
