// Calls a method again and again by grpc-js until its input ends, then prints how many calls ended how.
//
//   node caller.js TARGET METHOD REQUEST CONFIG WAIT
//
//   METHOD   /package.Service/Method
//   REQUEST  bytes in base 64
//   CONFIG   a file with a gRPC service config; empty for none
//   WAIT     "wait" for waitForReady in each call's metadata

const fs = require('fs');
const grpc = require('@grpc/grpc-js');

const [target, method, request, config, wait] = process.argv.slice(2);
const MILLISECONDS = 25;
const SECONDS = 20;

const options = config ? { 'grpc.service_config': fs.readFileSync(config, 'utf8') } : {};
const client = new grpc.Client(target, grpc.credentials.createInsecure(), options);
const bytes = Buffer.from(request, 'base64');
const ended = {};
let inFlight = 0;
let stopping = false;

function finish() {
  if (stopping && inFlight === 0) {
    console.log(JSON.stringify(ended));
    client.close();
  }
}

function call() {
  const metadata = new grpc.Metadata({ waitForReady: wait === 'wait' });
  const deadline = Date.now() + SECONDS * 1000;
  inFlight += 1;
  client.makeUnaryRequest(method, (own) => own, (own) => own, bytes, metadata, { deadline }, (error) => {
    const code = error ? grpc.status[error.code] : 'OK';
    if (!Object.keys(ended).length) console.log('began');
    ended[code] = (ended[code] || 0) + 1;
    inFlight -= 1;
    finish();
  });
}

call();
const timer = setInterval(call, MILLISECONDS);
process.stdin.resume();
process.stdin.on('end', () => {
  stopping = true;
  clearInterval(timer);
  finish();
});
