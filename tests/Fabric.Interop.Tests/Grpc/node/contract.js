'use strict';
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

// The service of echo.proto as grpc-js sees it.
exports.Echo = path => grpc.loadPackageDefinition(
  loader.loadSync(path, { keepCase: true, defaults: true })).fabric.test.Echo;
