// As the tutorials have it: verify, queue.add, 200.
const crypto = require('crypto');
const express = require('express');
const { Queue } = require('bullmq');

const queue = new Queue('webhooks', { connection: { host: '127.0.0.1', port: +process.env.REDIS_PORT } });
queue.on('error', () => {});
process.on('unhandledRejection', () => {});

const app = express();
app.use(express.json({ limit: '1mb', verify: (req, _res, raw) => { req.raw = raw; } }));
app.post('/webhooks', async (req, res) => {
  const got = Buffer.from(req.get('X-Hub-Signature') || '');
  const want = Buffer.from(crypto.createHmac('sha1', process.env.SECRET).update(req.raw).digest('hex'));
  if (got.length !== want.length || !crypto.timingSafeEqual(got, want)) return res.sendStatus(401);
  try {
    await queue.add('webhook', req.body);
    res.sendStatus(200);
  } catch {
    res.sendStatus(500);
  }
});
app.listen(+process.env.PORT, '127.0.0.1');
