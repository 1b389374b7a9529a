// The same chain of three calls in plain node:http with a keep-alive agent: what the budgets compare with.
// usage: node node_http.mjs URL RUNS AT_ONCE; prints one line of JSON.
import http from 'node:http';

const [url, runs, atOnce] = [process.argv[2], +process.argv[3], +process.argv[4]];
const target = new URL(url + '/chat/completions');
const agent = new http.Agent({keepAlive: true, maxSockets: Infinity});
const roles = ['You are a researcher. List facts.', 'You are a writer. Write a draft from the facts.',
  'You are an editor. Polish the draft.'];

function call(role, text) {
  const body = JSON.stringify({model: 'gpt-4o-mini', messages: [{role: 'system', content: role}, {role: 'user', content: text}]});
  return new Promise((resolve, reject) => {
    const request = http.request(target, {method: 'POST', agent, headers: {
      'Content-Type': 'application/json', Authorization: 'Bearer sk-stub', 'Content-Length': Buffer.byteLength(body)}}, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('end', () => resolve(JSON.parse(Buffer.concat(parts)).choices[0].message.content));
    });
    request.on('error', reject);
    request.end(body);
  });
}

let next = 0;
let failed = 0;
async function worker() {
  while (next < runs) {
    let text = `topic ${next++}`;
    try {
      for (const role of roles) text = await call(role, text);
    } catch {
      failed++;
    }
  }
}

const start = process.hrtime.bigint();
await Promise.all(Array.from({length: Math.min(atOnce, runs)}, worker));
const seconds = Number(process.hrtime.bigint() - start) / 1e9;
const usage = process.resourceUsage();
console.log(JSON.stringify({seconds, steps_per_s: runs * 3 / seconds, failed,
  cpu_s_per_1000_steps: (usage.userCPUTime + usage.systemCPUTime) / 1e6 / (runs * 3) * 1000, peak_mb: usage.maxRSS / 1024}));
process.exit(0);
