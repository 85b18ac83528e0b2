// Shared by the scenarios: settings, kinds of call, checks of the answers, and thresholds.
//
// Settings come from environment variables; `python -m tests.load.k6` sets them. Without it, on a
// retriever of MovieLens 100K:  k6 run -e TARGET=127.0.0.1:50051 tests/load/k6/steady.js
//
//   TARGET        HOST:PORT of the retriever
//   DURATION      seconds               RATE  calls a second
//   CONNECTIONS   each has at most one call at a time
//   TIMEOUT       seconds that a call may take
//   MAX_P99_MS    upper limit of the 99th percentile of latency
//   KINDS         names of kinds of call (see below), separated by commas
//   IDS           a JSON file {"users": [...], "items": [...]} of known ids
//   FILTER        ATTRIBUTE=VALUE of a text attribute, for the kind `filter`
//   PROTO_PATHS   folders of .proto files, separated by colons; without it, k6 uses reflection
//   TLS_CA        PEM file of the CA of the retriever's certificate; without it, no TLS
//   TLS_CERT, TLS_KEY  PEM files of the client certificate and its key
//   SERVER_NAME   a name in the retriever's certificate, if TARGET's host isn't in it
//   IP            IP address of TARGET, for SERVER_NAME; default: TARGET's host
//   TOKEN_FILE    a file whose first line is the bearer token to send
//   VERSIONS      versions that must all have answered, separated by commas

import { check } from 'k6';
import exec from 'k6/execution';
import { SharedArray } from 'k6/data';
import { Counter } from 'k6/metrics';
import grpc from 'k6/net/grpc';

const SERVICE = 'recsys.retriever.v1.RetrieverService';
const PROTO = 'recsys/retriever/v1/retriever_service.proto';
const LIMIT = 10;
const BATCH = 16;
const CONNECT_SECONDS = 3;
const CALL_SECONDS = Number(__ENV.TIMEOUT || 5);
// The run ends if a connection gets no answer for this long.
const GIVE_UP_SECONDS = 3;
// If more than this share of the calls weren't made in time, the load was too low to count.
const MOST_DROPPED = 0.01;

export const TARGET = __ENV.TARGET || '127.0.0.1:50051';
const [attribute, value] = (__ENV.FILTER || 'genres=Drama').split(/=(.*)/s);
const CONDITION = { attribute, any_of: { values: [value] } };
const ALL_DEFAULTS = JSON.parse(open('./defaults.json'));

// ---- connection

const pem = (name) => (__ENV[name] ? open(__ENV[name]) : undefined);
const TLS = __ENV.TLS_CA && { cacerts: pem('TLS_CA'), cert: pem('TLS_CERT'), key: pem('TLS_KEY') };
const TOKEN = __ENV.TOKEN_FILE && open(__ENV.TOKEN_FILE).split('\n')[0].trim();
const METADATA = TOKEN ? { authorization: `Bearer ${TOKEN}` } : {};
// k6 checks the certificate for the name that it connects to, so map that name to TARGET's address.
const SERVER_NAME = __ENV.SERVER_NAME || '';
const [, HOST, PORT] = /^(.*):([0-9]+)$/.exec(TARGET) || [];
const ADDRESS = SERVER_NAME ? `${SERVER_NAME}:${PORT}` : TARGET;

// ---- settings

// Returns a scenario's settings: its defaults, changed by the environment.
export function settings(name) {
  const own = ALL_DEFAULTS[name];
  return {
    seconds: Number(__ENV.DURATION || own.duration_seconds),
    rate: Number(__ENV.RATE || own.rate),
    connections: Number(__ENV.CONNECTIONS || own.connections),
    maxP99: Number(__ENV.MAX_P99_MS || own.max_p99_ms),
  };
}

// MovieLens 100K numbers its users and items; the last ones may have no interactions to train on.
const numbers = (count) => Array.from({ length: count }, (_, index) => String(index + 1));
const known = (name, count) =>
  new SharedArray(name, () => (__ENV.IDS ? JSON.parse(open(__ENV.IDS))[name] : numbers(count)));
const users = known('users', 943);
const items = known('items', 1000);
const any = (ids) => ids[Math.floor(Math.random() * ids.length)];

// ---- kinds of call

const recommend = () => ({ user_id: any(users), limit: LIMIT });
const similar = () => ({ item_id: any(items), limit: LIMIT });
const several = (request) => () => ({ requests: Array.from({ length: BATCH }, request) });

// `share` is the weight in the mix of the longer scenarios. Only smoke calls the kinds without one.
const KINDS = {
  recommend: { rpc: 'Recommend', share: 60, request: recommend, right: ranked },
  similar: { rpc: 'SimilarItems', share: 25, request: similar, right: ranked },
  session: {
    rpc: 'Recommend',
    share: 5,
    request: () => ({ session: { item_ids: [any(items), any(items)] }, limit: LIMIT }),
    right: ranked,
  },
  filter: {
    rpc: 'Recommend',
    share: 8,
    request: () => ({ ...recommend(), filter: { conditions: [CONDITION] } }),
    right: ranked,
  },
  batch_recommend: { rpc: 'BatchRecommend', share: 1, request: several(recommend), right: allRanked },
  batch_similar: { rpc: 'BatchSimilarItems', share: 1, request: several(similar), right: allRanked },
  status: {
    rpc: 'GetStatus',
    share: 0,
    request: () => ({}),
    right: (answer) => answer.version !== '' && answer.workers.length > 0,
  },
  unknown_user: {
    rpc: 'Recommend',
    share: 0,
    request: () => ({ user_id: `nobody-${Math.random()}` }),
    expected: grpc.StatusNotFound,
    right: () => true,
  },
};

// Checks for ten different items, best first, or for fewer with the reason.
function ranked(answer) {
  const scores = answer.items.map((item) => item.score);
  return (
    answer.version !== '' &&
    (scores.length === LIMIT || answer.shortReason !== 'SHORT_REASON_UNSPECIFIED') &&
    scores.every((score, place) => place === 0 || score <= scores[place - 1]) &&
    new Set(answer.items.map((item) => item.itemId)).size === scores.length
  );
}

function allRanked(answer) {
  return (
    answer.results.length === BATCH &&
    answer.results.every(({ response }) => response && ranked(response))
  );
}

export const ALL_KINDS = __ENV.KINDS ? __ENV.KINDS.split(',') : Object.keys(KINDS);
const MIXED = ALL_KINDS.filter((name) => KINDS[name].share > 0);
const ALL_SHARES = MIXED.reduce((sum, name) => sum + KINDS[name].share, 0);

// ---- calls

const calls = new Counter('calls');
const refusedCalls = new Counter('refused_calls');
const failedCalls = new Counter('failed_calls');
const answers = new Counter('answers');

// Each virtual user runs this file, so each has its own connection.
const client = new grpc.Client();
if (__ENV.PROTO_PATHS) {
  client.load(__ENV.PROTO_PATHS.split(':'), PROTO);
}
let connected = false;
let answeredAt = Date.now();
let failuresSince = 0;

function connect() {
  if (!connected) {
    client.connect(ADDRESS, {
      ...(TLS ? { tls: TLS } : { plaintext: true }),
      timeout: `${CONNECT_SECONDS}s`,
      reflect: !__ENV.PROTO_PATHS,
      reflectMetadata: METADATA,
    });
    connected = true;
    answeredAt = Date.now();
  }
}

// Fails at once with a clear message if no retriever answers.
export function setup() {
  let problem;
  try {
    connect();
    const answer = client.invoke(`${SERVICE}/GetStatus`, {}, {
      metadata: METADATA,
      timeout: `${CALL_SECONDS}s`,
    });
    problem = answer.status === grpc.StatusOK ? '' : answer.error.message;
    client.close();
  } catch (error) {
    problem = String(error);
  }
  if (problem) {
    exec.test.abort(`no retriever answers at ${TARGET}: ${problem}`);
  }
}

// Makes one call of a kind, and counts and checks its answer.
export function call(name) {
  const kind = KINDS[name];
  const tags = { kind: name };
  const request = kind.request();
  let answer;
  try {
    connect();
    answer = client.invoke(`${SERVICE}/${kind.rpc}`, request, {
      tags,
      metadata: METADATA,
      timeout: `${CALL_SECONDS}s`,
    });
  } catch (error) {
    answer = { status: grpc.StatusUnavailable, error: { message: `can't connect: ${error}` } };
  }
  calls.add(1, tags);
  if (answer.status === (kind.expected || grpc.StatusOK)) {
    answered();
    if (answer.message && answer.message.version) {
      answers.add(1, { version: answer.message.version });
    }
    check(answer, { [`${name}: the answer is right`]: (it) => kind.right(it.message) }, tags);
  } else if (answer.status === grpc.StatusResourceExhausted) {
    // A full worker should refuse calls, so this isn't a failure.
    answered();
    refusedCalls.add(1, tags);
  } else {
    failed(name, answer, tags);
  }
}

function answered() {
  answeredAt = Date.now();
  failuresSince = 0;
}

function failed(name, answer, tags) {
  failedCalls.add(1, tags);
  failuresSince += 1;
  const why = `status ${answer.status}: ${answer.error && answer.error.message}`;
  if (failuresSince === 1) {
    console.error(`${name} failed with ${why}`);
  }
  if (failuresSince > 1 && Date.now() - answeredAt > GIVE_UP_SECONDS * 1000) {
    exec.test.abort(`${TARGET} stopped answering: ${why}`);
  }
}

// Makes one call of every kind.
export function each() {
  ALL_KINDS.forEach(call);
}

// Makes one call of a kind that is drawn by its share.
export function mixed() {
  let drawn = Math.random() * ALL_SHARES;
  call(MIXED.find((name) => (drawn -= KINDS[name].share) < 0) || MIXED[0]);
}

// ---- options

// Options of every scenario.
export const common = {
  hosts: SERVER_NAME ? { [SERVER_NAME]: __ENV.IP || HOST.replace(/[[\]]/g, '') } : {},
  summaryTrendStats: ['min', 'med', 'p(90)', 'p(99)', 'max', 'count'],
  setupTimeout: `${2 * (CONNECT_SECONDS + CALL_SECONDS)}s`,
};

// Time for calls in flight at the end.
export const gracefulStop = `${CALL_SECONDS}s`;

// An open loop: calls at a steady rate, even if earlier calls have no answer yet.
export function arriving({ rate, seconds, connections }, startTime = 0) {
  return {
    executor: 'constant-arrival-rate',
    rate,
    timeUnit: '1s',
    duration: `${seconds}s`,
    startTime: `${startTime}s`,
    preAllocatedVUs: connections,
    maxVUs: connections,
    gracefulStop,
  };
}

// No call may fail, be refused or get a wrong answer. The thresholds of each kind only create its line
// in the summary, and always hold unless each kind must have been called.
export function thresholds({ maxP99 }, names = MIXED, fewest = 'count>=0') {
  const wanted = {
    checks: ['rate==1'],
    failed_calls: ['count==0'],
    refused_calls: ['count==0'],
    grpc_req_duration: [`p(99)<${maxP99}`],
  };
  for (const name of names) {
    wanted[`calls{kind:${name}}`] = [fewest];
    wanted[`failed_calls{kind:${name}}`] = ['count>=0'];
    wanted[`refused_calls{kind:${name}}`] = ['count>=0'];
    wanted[`grpc_req_duration{kind:${name}}`] = ['p(99)>=0'];
  }
  return wanted;
}

// The options of the usual mix at a steady rate: as `thresholds`, and the load is the one asked for.
export function openLoop(name, more = {}) {
  const own = settings(name);
  const most = Math.floor(MOST_DROPPED * own.rate * own.seconds);
  return {
    ...common,
    scenarios: { [name]: arriving(own) },
    thresholds: { ...thresholds(own), dropped_iterations: [`count<=${most}`], ...more },
  };
}
