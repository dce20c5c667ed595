const { Worker } = require('bullmq');
const { handled } = require('../tally');

const connection = { host: '127.0.0.1', port: +process.env.REDIS_PORT, maxRetriesPerRequest: null };
new Worker('webhooks', async (job) => handled(job.data), { connection }).on('error', () => {});
