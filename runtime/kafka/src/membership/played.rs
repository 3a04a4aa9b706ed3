//! A broker that is played: it coordinates groups over Kafka's wire format as it is told, in versions it is told, and answers what it is told.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, DescribeGroupsResponse, FindCoordinatorRequest,
    FindCoordinatorResponse, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, MetadataResponse, RequestHeader,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};
use millrace_log::MembershipOptions;
use millrace_log::local::Groups;
use millrace_log::membership::{GroupCoordinator, Joined, Refusal};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What becomes of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// This error code.
    Code(i16),
    /// No answer.
    Silence,
    /// The connection is closed.
    HangUp,
    /// Bytes that mean nothing.
    Garbage,
}

/// A call that has come in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Came {
    pub(super) key: ApiKey,
    pub(super) version: i16,
    /// Number of the connection.
    pub(super) connection: usize,
    pub(super) member_id: String,
}

/// The broker. Two that share their [`Groups`] are one cluster.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) port: u16,
    groups: Arc<Groups>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    acts: HashMap<i16, VecDeque<Act>>,
    came: Vec<Came>,
    /// Highest version by call.
    versions: Vec<(ApiKey, i16)>,
    /// Ports of all brokers of the cluster.
    brokers: Vec<u16>,
    /// Nothing is answered any more, and connections are closed.
    shut: bool,
    /// Port of the coordinator; every group call elsewhere is refused.
    coordinator: u16,
    /// Ids that were required and have not joined.
    required: Vec<String>,
    connections: usize,
}

/// What the broker of Apache Kafka 4.3 serves.
pub(super) const NEW: &[(ApiKey, i16)] = &[
    (ApiKey::ApiVersions, 4),
    (ApiKey::Metadata, 12),
    (ApiKey::FindCoordinator, 6),
    (ApiKey::JoinGroup, 9),
    (ApiKey::SyncGroup, 5),
    (ApiKey::Heartbeat, 4),
    (ApiKey::LeaveGroup, 5),
    (ApiKey::DescribeGroups, 6),
];

/// One before static membership and required member ids.
pub(super) const OLD: &[(ApiKey, i16)] = &[
    (ApiKey::ApiVersions, 2),
    (ApiKey::Metadata, 7),
    (ApiKey::FindCoordinator, 2),
    (ApiKey::JoinGroup, 3),
    (ApiKey::SyncGroup, 2),
    (ApiKey::Heartbeat, 2),
    (ApiKey::LeaveGroup, 2),
    (ApiKey::DescribeGroups, 2),
];

impl Played {
    pub(super) async fn start(versions: &[(ApiKey, i16)], groups: Arc<Groups>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let played = Arc::new(Self {
            port,
            groups,
            state: Mutex::new(State {
                acts: HashMap::new(),
                came: Vec::new(),
                versions: versions.to_vec(),
                brokers: vec![port],
                shut: false,
                coordinator: port,
                required: Vec::new(),
                connections: 0,
            }),
        });
        let served = Arc::clone(&played);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let number = {
                    let mut state = served.state();
                    state.connections += 1;
                    state.connections
                };
                let served = Arc::clone(&served);
                tokio::spawn(async move {
                    // `None` when the client has gone, which is its business.
                    let _ = served.serve(socket, number).await;
                });
            }
        });
        played
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }

    /// The next calls of this kind end so.
    pub(super) fn act(&self, key: ApiKey, acts: &[Act]) {
        self.state()
            .acts
            .entry(key as i16)
            .or_default()
            .extend(acts);
    }

    pub(super) fn came(&self) -> Vec<Came> {
        self.state().came.clone()
    }

    /// Calls of this kind so far.
    pub(super) fn count(&self, key: ApiKey) -> usize {
        self.state().came.iter().filter(|c| c.key == key).count()
    }

    /// From now on the coordinator is the broker at `port`.
    pub(super) fn move_to(&self, port: u16) {
        self.state().coordinator = port;
    }

    /// The brokers of the cluster.
    pub(super) fn names(&self, ports: &[u16]) {
        self.state().brokers = ports.to_vec();
    }

    /// From now on the broker hangs up on everybody.
    pub(super) fn shut(&self) {
        self.state().shut = true;
    }

    async fn serve(&self, mut socket: TcpStream, connection: usize) -> Option<()> {
        loop {
            let size = socket.read_i32().await.ok()?;
            let mut frame = vec![0; usize::try_from(size).ok()?];
            socket.read_exact(&mut frame).await.ok()?;
            let mut frame = Bytes::from(frame);
            let key = ApiKey::try_from(frame.slice(..2).get_i16()).ok()?;
            let version = frame.slice(2..4).get_i16();
            let header =
                RequestHeader::decode(&mut frame, key.request_header_version(version)).ok()?;
            let mut out = BytesMut::new();
            out.put_i32(0);
            out.put_i32(header.correlation_id);
            if self.state().shut {
                return None;
            }
            let act = self
                .state()
                .acts
                .get_mut(&(key as i16))
                .and_then(VecDeque::pop_front);
            let code = match act {
                Some(Act::Code(code)) => code,
                Some(Act::Silence) => {
                    self.note(key, version, connection, String::new());
                    continue;
                }
                Some(Act::HangUp) => return None,
                Some(Act::Garbage) => {
                    out.put_slice(&[0xff; 7]);
                    send(&mut socket, out).await?;
                    continue;
                }
                None => 0,
            };
            // A flexible header has an empty list of tagged fields after the correlation id.
            if key.response_header_version(version) >= 1 {
                out.put_u8(0);
            }
            let call = Call {
                key,
                version,
                connection,
                code,
            };
            self.answer(call, frame, &mut out).await?;
            send(&mut socket, out).await?;
        }
    }

    fn note(&self, key: ApiKey, version: i16, connection: usize, member_id: String) {
        self.state().came.push(Came {
            key,
            version,
            connection,
            member_id,
        });
    }

    async fn answer(&self, call: Call, mut body: Bytes, out: &mut BytesMut) -> Option<()> {
        let version = call.version;
        match call.key {
            ApiKey::ApiVersions => {
                let versions = self.state().versions.clone();
                let offered = |key| versions.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
                let newest = offered(ApiKey::ApiVersions)?;
                let keys = versions
                    .iter()
                    .map(|(key, max)| {
                        ApiVersion::default()
                            .with_api_key(*key as i16)
                            .with_max_version(*max)
                    })
                    .collect();
                // One that does not know the version answers in version 0.
                let (code, version) = if version > newest {
                    (35, 0)
                } else {
                    (0, version)
                };
                let response = ApiVersionsResponse::default()
                    .with_error_code(code)
                    .with_api_keys(keys);
                put(&response, version, out)
            }
            ApiKey::Metadata => {
                let brokers = self.state().brokers.clone();
                let brokers = (1..).zip(brokers).map(|(id, port)| {
                    MetadataResponseBroker::default()
                        .with_node_id(BrokerId(id))
                        .with_host(StrBytes::from_static_str("127.0.0.1"))
                        .with_port(i32::from(port))
                });
                put(
                    &MetadataResponse::default().with_brokers(brokers.collect()),
                    version,
                    out,
                )
            }
            ApiKey::FindCoordinator => {
                take::<FindCoordinatorRequest>(&mut body, version)?;
                self.note(call.key, version, call.connection, String::new());
                let response = FindCoordinatorResponse::default()
                    .with_error_code(call.code)
                    .with_node_id(BrokerId(1))
                    .with_host(StrBytes::from_static_str("127.0.0.1"))
                    .with_port(i32::from(self.state().coordinator));
                put(&response, version, out)
            }
            ApiKey::DescribeGroups => {
                let member = DescribedGroupMember::default()
                    .with_client_id(StrBytes::from_static_str("billing"))
                    .with_client_host(StrBytes::from_static_str("/10.0.0.7"));
                let group = DescribedGroup::default()
                    .with_protocol_type(StrBytes::from_static_str("consumer"))
                    .with_protocol_data(StrBytes::from_static_str("range"))
                    .with_members(vec![member]);
                put(
                    &DescribeGroupsResponse::default().with_groups(vec![group]),
                    version,
                    out,
                )
            }
            ApiKey::JoinGroup => {
                let request = take::<JoinGroupRequest>(&mut body, version)?;
                self.note(
                    call.key,
                    version,
                    call.connection,
                    request.member_id.to_string(),
                );
                put(&self.join(call, request).await, version, out)
            }
            ApiKey::SyncGroup => {
                let request = take::<SyncGroupRequest>(&mut body, version)?;
                self.note(
                    call.key,
                    version,
                    call.connection,
                    request.member_id.to_string(),
                );
                put(&self.sync(call, request).await, version, out)
            }
            ApiKey::Heartbeat => {
                let request = take::<HeartbeatRequest>(&mut body, version)?;
                self.note(
                    call.key,
                    version,
                    call.connection,
                    request.member_id.to_string(),
                );
                let result = match self.gate(call) {
                    Ok(()) => {
                        let member = self.member(request.group_instance_id.as_ref());
                        member
                            .heartbeat(&joined(&request.member_id, request.generation_id))
                            .await
                            .map_err(code_of)
                    }
                    Err(code) => Err(code),
                };
                let response =
                    HeartbeatResponse::default().with_error_code(result.err().unwrap_or(0));
                put(&response, version, out)
            }
            ApiKey::LeaveGroup => {
                let request = take::<LeaveGroupRequest>(&mut body, version)?;
                let (id, instance) = match request.members.first() {
                    Some(m) => (m.member_id.clone(), m.group_instance_id.clone()),
                    None => (request.member_id.clone(), None),
                };
                self.note(call.key, version, call.connection, id.to_string());
                let result = match self.gate(call) {
                    Ok(()) => self
                        .member(instance.as_ref())
                        .leave(&id)
                        .await
                        .map_err(code_of),
                    Err(code) => Err(code),
                };
                let response =
                    LeaveGroupResponse::default().with_error_code(result.err().unwrap_or(0));
                put(&response, version, out)
            }
            _ => None,
        }
    }

    /// The error that ends the call before it reaches the group.
    fn gate(&self, call: Call) -> Result<(), i16> {
        match call.code {
            0 if self.state().coordinator != self.port => Err(16),
            0 => Ok(()),
            code => Err(code),
        }
    }

    fn member(&self, instance: Option<&StrBytes>) -> Arc<dyn GroupCoordinator> {
        self.groups.coordinator(MembershipOptions {
            group_instance_id: instance.map(ToString::to_string),
            ..super::tests::options()
        })
    }

    async fn join(&self, call: Call, request: JoinGroupRequest) -> JoinGroupResponse {
        let refuse = |code| JoinGroupResponse::default().with_error_code(code);
        if let Err(code) = self.gate(call) {
            return refuse(code);
        }
        let mut id = request.member_id.to_string();
        if call.version >= 4 && request.group_instance_id.is_none() {
            let mut state = self.state();
            if id.is_empty() {
                let required = format!("required-{}", state.came.len());
                state.required.push(required.clone());
                return refuse(79).with_member_id(StrBytes::from_string(required));
            }
            if let Some(at) = state.required.iter().position(|r| *r == id) {
                state.required.remove(at);
                id.clear();
            }
        }
        let protocols: Vec<(String, Bytes)> = request
            .protocols
            .iter()
            .map(|p| (p.name.to_string(), p.metadata.clone()))
            .collect();
        let member = self.member(request.group_instance_id.as_ref());
        match member.join(&id, &protocols).await {
            Err(refusal) => refuse(code_of(refusal)),
            Ok(joined) => {
                let named = |text: &str| StrBytes::from_string(text.to_owned());
                let members = joined
                    .members
                    .iter()
                    .map(|m| {
                        JoinGroupResponseMember::default()
                            .with_member_id(named(&m.id))
                            .with_metadata(m.metadata.clone())
                    })
                    .collect();
                JoinGroupResponse::default()
                    .with_generation_id(joined.generation)
                    .with_protocol_name(Some(named(&joined.protocol)))
                    .with_leader(named(&joined.leader_id))
                    .with_member_id(named(&joined.member_id))
                    .with_members(members)
                    .with_skip_assignment(joined.skip_assignment)
            }
        }
    }

    async fn sync(&self, call: Call, request: SyncGroupRequest) -> SyncGroupResponse {
        let refuse = |code| SyncGroupResponse::default().with_error_code(code);
        if let Err(code) = self.gate(call) {
            return refuse(code);
        }
        let assignments: Vec<(String, Bytes)> = request
            .assignments
            .iter()
            .map(|a| (a.member_id.to_string(), a.assignment.clone()))
            .collect();
        let member = self.member(request.group_instance_id.as_ref());
        let of = joined(&request.member_id, request.generation_id);
        match member.sync(&of, &assignments).await {
            Ok(assignment) => SyncGroupResponse::default().with_assignment(assignment),
            Err(refusal) => refuse(code_of(refusal)),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Call {
    key: ApiKey,
    version: i16,
    connection: usize,
    code: i16,
}

fn joined(member_id: &StrBytes, generation: i32) -> Joined {
    Joined {
        generation,
        member_id: member_id.to_string(),
        leader_id: String::new(),
        protocol: String::new(),
        members: Vec::new(),
        skip_assignment: false,
    }
}

fn code_of(refusal: Refusal) -> i16 {
    match refusal {
        Refusal::MemberIdRequired(_) => 79,
        Refusal::RebalanceInProgress => 27,
        Refusal::IllegalGeneration => 22,
        Refusal::UnknownMember => 25,
        Refusal::Unavailable(_) => 16,
        Refusal::Final(_) => 82,
    }
}

fn take<R: Request + Decodable>(body: &mut Bytes, version: i16) -> Option<R> {
    let request = R::decode(body, version).expect("a request that can be decoded");
    assert!(body.is_empty(), "bytes after the request");
    Some(request)
}

fn put<T: Encodable + HeaderVersion>(response: &T, version: i16, out: &mut BytesMut) -> Option<()> {
    response
        .encode(out, version)
        .expect("a response that can be encoded");
    Some(())
}

async fn send(socket: &mut TcpStream, mut out: BytesMut) -> Option<()> {
    let size = (out.len() - 4) as i32;
    out[..4].copy_from_slice(&size.to_be_bytes());
    tokio::time::timeout(Duration::from_secs(10), socket.write_all(&out))
        .await
        .ok()?
        .ok()
}
