'use strict';
// An Echo server. Prints its port, then a line for every call that the client cancelled. Ends with its standard input.
//   node server.js PROTO
const grpc = require('@grpc/grpc-js');
const { Echo } = require('./contract');

function failed(request) {
  if (request.fail_with <= 0) { return null; }
  const metadata = new grpc.Metadata();
  metadata.set('reason', 'asked for');
  metadata.set('reason-bin', Buffer.from([0, 255]));
  return { code: request.fail_with, details: request.text, metadata };
}

const server = new grpc.Server({ 'grpc.max_receive_message_length': 4 << 20 });
server.addService(Echo(process.argv[2]).service, {
  Say(call, callback) {
    const error = failed(call.request);
    if (error) { callback(error); return; }
    if (call.request.times < 0) { call.on('cancelled', () => console.log('cancelled Say')); return; }
    const initial = new grpc.Metadata();
    call.metadata.get('x-text').forEach(value => initial.add('x-text', value));
    call.metadata.get('x-raw-bin').forEach(value => initial.add('x-raw-bin', value));
    call.sendMetadata(initial);
    const trailers = new grpc.Metadata();
    trailers.set('said', 'yes');
    const number = Math.round((call.getDeadline() - Date.now()) / 1000);
    callback(null, { text: call.request.text, payload: call.request.payload, number: Number.isFinite(number) ? number : 0 }, trailers);
  },
  Collect(call, callback) {
    const texts = [];
    call.on('data', request => texts.push(request.text));
    call.on('end', () => callback(null, { text: texts.join(','), number: texts.length }));
  },
  Repeat(call) {
    const { text, times, payload } = call.request;
    let number = 0;
    call.on('cancelled', () => { number = -1; console.log('cancelled Repeat'); });
    const push = () => {
      while (number >= 0 && (times < 0 || number < times)) {
        if (!call.write({ text, payload, number: number++ })) { call.once('drain', push); return; }
      }
      if (number < 0) { return; }
      const error = failed(call.request);
      if (error) { call.emit('error', error); } else { call.end(); }
    };
    push();
  },
  Talk(call) {
    let number = 0;
    call.on('data', request => call.write({ text: request.text, payload: request.payload, number: number++ }));
    call.on('end', () => call.end());
    call.on('cancelled', () => console.log('cancelled Talk'));
  },
});

server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error) { throw error; }
  console.log(port);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
