// What every Node worker does with an event: read the JSON, count it, tell the harness.
const fs = require('fs');

const file = `${process.env.COUNT_DIR}/${process.pid}`;
const ids = process.env.HANDLED ? fs.openSync(`${file}.ids`, 'a') : undefined;
let count = 0, written = -1;

function write() {
  if (count === written) return;
  written = count;
  fs.writeFileSync(`${file}.n`, String(count));
}
write();
setInterval(write, 100);

exports.handled = ({ job_id, status }) => {
  if (!job_id || !status) throw new Error('an empty job');
  count += 1;
  if (ids) fs.writeSync(ids, `${job_id}\n`);
};
