//! Every app that is shipped, as a component in the real host, over real connections, against its service as the service's
//! documentation has it: paging, limits, clocks that are wrong, events that come late or twice, answers that never arrive, hosts
//! that die. All events arrive, and none becomes two.

mod aliyun;
mod box_events;
mod crowdstrike;
mod duo;
mod github;
mod gsuite;
mod intercom;
mod okta;
mod on_aws;
mod onelogin;
mod onepassword;
mod running;
mod salesforce;
mod samples;
pub mod site;
mod slack;
mod tokens;
