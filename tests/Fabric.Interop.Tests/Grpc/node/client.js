'use strict';
// Calls an Echo server in every way and prints what it got, one JSON object.
//   node client.js ADDRESS PROTO
const grpc = require('@grpc/grpc-js');
const { Echo } = require('./contract');

const [address, proto] = process.argv.slice(2);
const client = new (Echo(proto))(address, grpc.credentials.createInsecure(), { 'grpc.max_receive_message_length': 8 << 20 });
const inMillis = millis => ({ deadline: Date.now() + millis });
const failure = error => ({
  code: error.code,
  details: error.details,
  reason: error.metadata.get('reason')[0],
  raw: error.metadata.get('reason-bin').map(value => value.toString('hex'))[0],
});

function say(request, metadata = new grpc.Metadata(), options = inMillis(20000)) {
  return new Promise(resolve => {
    const seen = {};
    const call = client.Say(request, metadata, options, (error, reply) =>
      setImmediate(() => resolve(error ? failure(error) : { ...seen, text: reply.text, number: reply.number, size: reply.payload.length })));
    call.on('metadata', initial => {
      seen.echoed = initial.get('x-text');
      seen.echoedRaw = initial.get('x-raw-bin').map(value => value.toString('hex'));
    });
    call.on('status', status => { seen.said = status.metadata.get('said'); });
  });
}

function collect(texts) {
  return new Promise(resolve => {
    const call = client.Collect(inMillis(20000), (error, reply) => resolve(error ? failure(error) : { text: reply.text, number: reply.number }));
    texts.forEach(text => call.write({ text }));
    call.end();
  });
}

function repeat(request, cancelAfter) {
  return new Promise(resolve => {
    const numbers = [];
    const call = client.Repeat(request, inMillis(20000));
    call.on('data', reply => {
      numbers.push(reply.number);
      if (numbers.length === cancelAfter) { call.cancel(); }
    });
    call.on('error', error => resolve({ ...failure(error), count: numbers.length }));
    call.on('end', () => resolve({ count: numbers.length, ordered: numbers.every((number, index) => number === index) }));
  });
}

function talk(texts) {
  return new Promise(resolve => {
    const replies = [];
    const call = client.Talk(inMillis(20000));
    const next = () => (replies.length < texts.length ? call.write({ text: texts[replies.length] }) : call.end());
    call.on('data', reply => { replies.push(`${reply.number}:${reply.text}`); next(); });
    call.on('error', error => resolve(failure(error)));
    call.on('end', () => resolve({ replies }));
    next();
  });
}

function unknown() {
  return new Promise(resolve => client.makeUnaryRequest(
    '/fabric.test.Echo/Sing', value => value, value => value, Buffer.alloc(0), inMillis(20000), error => resolve(failure(error))));
}

(async () => {
  const metadata = new grpc.Metadata();
  metadata.set('x-text', 'hello');
  metadata.set('x-raw-bin', Buffer.from([0, 1, 255]));
  const results = {
    say: await say({ text: 'grüß dich', payload: Buffer.alloc(1 << 20, 7) }, metadata),
    collect: await collect(['a', 'b', 'c']),
    repeat: await repeat({ text: 'x', times: 500 }),
    talk: await talk(['one', 'two', 'three']),
    status: await say({ text: '100 % кончено', fail_with: grpc.status.FAILED_PRECONDITION }),
    statusAfterReplies: await repeat({ text: 'enough', times: 3, fail_with: grpc.status.ABORTED }),
    defect: await say({ text: 'secret', fail_with: -1 }),
    deadline: await say({ times: -1 }, new grpc.Metadata(), inMillis(200)),
    cancelled: await repeat({ times: -1 }, 10),
    oversize: await say({ payload: Buffer.alloc(5 << 20) }),
    unknown: await unknown(),
    after: await say({ text: 'still there' }),
  };
  console.log(JSON.stringify(results));
  client.close();
})();
