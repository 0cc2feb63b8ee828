//! The event classes of the Open Cybersecurity Schema Framework, 1.x: what `ocsf` in a schema file may name.

/// One class, as OCSF numbers and names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Class {
    pub uid: u32,
    /// For machines, `api_activity`.
    pub name: &'static str,
    /// For people, `API Activity`; becomes `class_name`.
    pub caption: &'static str,
}

impl Class {
    /// The class of this number, name or caption; case does not count.
    pub fn find(text: &str) -> Option<&'static Class> {
        let text = text.trim();
        let uid = text.parse::<u32>().ok();
        CLASSES.iter().find(|class| {
            uid == Some(class.uid) || class.name.eq_ignore_ascii_case(text) || class.caption.eq_ignore_ascii_case(text)
        })
    }

    pub fn category_uid(&self) -> u32 {
        self.uid / 1000
    }

    pub fn category_name(&self) -> &'static str {
        match self.category_uid() {
            1 => "System Activity",
            2 => "Findings",
            3 => "Identity & Access Management",
            4 => "Network Activity",
            5 => "Discovery",
            6 => "Application Activity",
            7 => "Remediation",
            _ => "Uncategorized",
        }
    }
}

const fn class(uid: u32, name: &'static str, caption: &'static str) -> Class {
    Class { uid, name, caption }
}

/// Those that logs are mapped to. Classes for answers to queries, of extensions, and new ones are added when somebody maps
/// a log to one.
pub const CLASSES: &[Class] = &[
    class(0, "base_event", "Base Event"),
    class(1001, "file_activity", "File System Activity"),
    class(1002, "kernel_extension_activity", "Kernel Extension Activity"),
    class(1003, "kernel_activity", "Kernel Activity"),
    class(1004, "memory_activity", "Memory Activity"),
    class(1005, "module_activity", "Module Activity"),
    class(1006, "scheduled_job_activity", "Scheduled Job Activity"),
    class(1007, "process_activity", "Process Activity"),
    class(1008, "event_log_activity", "Event Log Activity"),
    class(1009, "script_activity", "Script Activity"),
    class(2001, "security_finding", "Security Finding"),
    class(2002, "vulnerability_finding", "Vulnerability Finding"),
    class(2003, "compliance_finding", "Compliance Finding"),
    class(2004, "detection_finding", "Detection Finding"),
    class(2005, "incident_finding", "Incident Finding"),
    class(2006, "data_security_finding", "Data Security Finding"),
    class(2007, "application_security_posture_finding", "Application Security Posture Finding"),
    class(3001, "account_change", "Account Change"),
    class(3002, "authentication", "Authentication"),
    class(3003, "authorize_session", "Authorize Session"),
    class(3004, "entity_management", "Entity Management"),
    class(3005, "user_access", "User Access Management"),
    class(3006, "group_management", "Group Management"),
    class(4001, "network_activity", "Network Activity"),
    class(4002, "http_activity", "HTTP Activity"),
    class(4003, "dns_activity", "DNS Activity"),
    class(4004, "dhcp_activity", "DHCP Activity"),
    class(4005, "rdp_activity", "RDP Activity"),
    class(4006, "smb_activity", "SMB Activity"),
    class(4007, "ssh_activity", "SSH Activity"),
    class(4008, "ftp_activity", "FTP Activity"),
    class(4009, "email_activity", "Email Activity"),
    class(4010, "network_file_activity", "Network File Activity"),
    class(4011, "email_file_activity", "Email File Activity"),
    class(4012, "email_url_activity", "Email URL Activity"),
    class(4013, "ntp_activity", "NTP Activity"),
    class(4014, "tunnel_activity", "Tunnel Activity"),
    class(5001, "inventory_info", "Device Inventory Info"),
    class(5002, "config_state", "Device Config State"),
    class(5003, "user_inventory", "User Inventory Info"),
    class(5004, "patch_state", "Operating System Patch State"),
    class(6001, "web_resources_activity", "Web Resources Activity"),
    class(6002, "application_lifecycle", "Application Lifecycle"),
    class(6003, "api_activity", "API Activity"),
    class(6004, "web_resource_access_activity", "Web Resource Access Activity"),
    class(6005, "datastore_activity", "Datastore Activity"),
    class(6006, "file_hosting", "File Hosting Activity"),
    class(6007, "scan_activity", "Scan Activity"),
    class(7001, "remediation_activity", "Remediation Activity"),
    class(7002, "file_remediation_activity", "File Remediation Activity"),
    class(7003, "process_remediation_activity", "Process Remediation Activity"),
    class(7004, "network_remediation_activity", "Network Remediation Activity"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_found_by_number_name_or_caption() {
        for text in ["3002", "authentication", "Authentication", " AUTHENTICATION "] {
            assert_eq!(Class::find(text).map(|class| class.uid), Some(3002), "{text:?}");
        }
        assert_eq!(Class::find("API Activity"), Class::find("api_activity"));
        assert!(Class::find("login").is_none() && Class::find("").is_none() && Class::find("9999").is_none());
        assert_eq!(Class::find("4003").map(Class::category_name), Some("Network Activity"));
    }

    #[test]
    fn numbers_and_names_are_unique_and_rise() {
        for pair in CLASSES.windows(2) {
            assert!(pair[0].uid < pair[1].uid, "{}", pair[1].name);
        }
        for (index, class) in CLASSES.iter().enumerate() {
            assert!(CLASSES[..index].iter().all(|earlier| earlier.name != class.name), "{}", class.name);
        }
    }
}
